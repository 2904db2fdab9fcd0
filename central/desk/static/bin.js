// The drawer that shows one bin: its stock, what happened there lately, what will.

import { $, el, mark, say } from "./dom.js";
import { clock, count, span, times, units } from "./format.js";
import { pointAt } from "./floor.js";
import { binFound, binShown, startPast } from "./past.js";
import { on, state } from "./state.js";
import { chip, eventWords, placeParts, taskWhat, wayParts } from "./tables.js";

const AGAIN_MS = 400;
// Not a bin of anybody: ids have no colon.
const QUARANTINE = "quarantine:";
let shownId = "";
let askedAt = 0;
let timer = 0;
let cameFrom = null;

/** Prepare the drawer and the search field. */
export function startBin() {
  $("bin-close").addEventListener("click", close);
  startPast(openBin);
  document.addEventListener("keydown", (event) => {
    if (event.key === "Escape" && $("bin").open) close();
  });
  on(["bins", "tasks", "events"], soon);
  on(["site"], () => {
    $("bin-ids").replaceChildren(...state.site.bins.slice(0, 2000).map((bin) => el("option", { value: bin.id })));
  });
  $("quarantine-open").addEventListener("click", () => openBin(QUARANTINE));
  $("find").addEventListener("submit", (event) => {
    event.preventDefault();
    openBin($("find-bin").value.trim().toUpperCase());
  });
  $("find-bin").addEventListener("change", () => {
    const id = $("find-bin").value.trim().toUpperCase();
    if (state.binIndex.has(id)) openBin(id);
  });
}

/** Show the drawer of a bin. */
export function openBin(id) {
  if (!id) return;
  if (!$("bin").open) cameFrom = document.activeElement;
  shownId = id;
  pointAt(id);
  say($("bin-title"), id === QUARANTINE ? "Quarantine" : `Bin ${id}`);
  for (const hand of ["adjust", "past"]) $(hand).hidden = id === QUARANTINE;
  $("bin-body").replaceChildren(el("p", {}, "Looking it up …"));
  mark($("bin"), "binId", id);
  delete $("bin").dataset.units;
  binShown(id);
  if (!$("bin").open) $("bin").show();
  $("bin-title").focus();
  load();
}

function close() {
  $("bin").close();
  shownId = "";
  if (cameFrom?.isConnected) cameFrom.focus();
}

/** Look again soon: something changed, maybe here. */
function soon() {
  if (!shownId || timer) return;
  timer = setTimeout(load, Math.max(0, askedAt + AGAIN_MS - performance.now()));
}

async function load() {
  clearTimeout(timer);
  timer = 0;
  askedAt = performance.now();
  const id = shownId;
  if (!id) return;
  let parts;
  let units;
  try {
    const answer = await fetch(id === QUARANTINE ? "/api/quarantine" : `/api/bins/${encodeURIComponent(id)}`);
    const found = await answer.json();
    if (!answer.ok) throw new Error(found.detail ?? String(answer.status));
    parts = id === QUARANTINE ? quarantineParts(found) : binParts(found);
    if (id === shownId && found.bin) binFound(found.bin);
    units = found.bin?.units;
  } catch (error) {
    parts = [el("p", {}, `Not to be had now: ${error.message}`)];
  }
  if (id !== shownId) return; // another bin was asked for meanwhile
  const focused = document.activeElement?.dataset?.showBin;
  $("bin-body").replaceChildren(...parts);
  if (focused) $("bin-body").querySelector(`[data-show-bin="${CSS.escape(focused)}"]`)?.focus();
  if (units !== undefined) mark($("bin"), "units", units);
}

function binParts({ bin, book, lots, serials, containers, events, open_tasks: tasks }) {
  const parts = [
    el("p", { class: "big" }, count(bin.units), el("small", {}, bin.capacity_units ? ` of ${units(bin.capacity_units)}` : bin.units === 1 ? " unit" : " units")),
    el("div", { class: "facts" }, chip(bin.kind), bin.edge_id ? chip(`zone ${bin.edge_id}`) : null,
      bin.reserved_units ? chip(`${count(bin.reserved_units)} promised`) : null,
      bin.inbound_units ? chip(`${count(bin.inbound_units)} on their way`) : null),
  ];
  parts.push(sureParts(book));
  if (bin.slot) parts.push(el("p", {}, `Slotted here: ${bin.slot.name} (${bin.slot.sku})`));
  parts.push(el("h3", {}, "In the bin"), bin.stock.length ? table(["Article", "Units", "Promised"],
    bin.stock.map((held) => [
      [held.article.name, el("small", {}, `${held.article.sku} ${held.article.gtin}`)],
      [count(held.units)], [count(held.reserved_units)],
    ])) : el("p", {}, "Empty."));
  parts.push(...detailParts(lots, serials));
  if (containers.length) {
    parts.push(el("h3", {}, "Containers"), table(["SSCC"], containers.map((sscc) => [[sscc]])));
  }
  parts.push(el("h3", {}, "Open tasks"), tasks.length ? table(["Task", "What", "Status"],
    tasks.map((task) => [
      [task.kind, el("small", {}, task.task_id)],
      [taskWhat(task), el("small", {}, ...wayParts(task, openBin))],
      [chip(task.status), el("small", {}, task.worker)],
    ])) : el("p", {}, "None."));
  parts.push(el("h3", {}, "Lately"), events.length ? table(["When", "Change", "What", "By"],
    events.map((event) => eventRow(event, bin.bin_id))) : el("p", {}, "Nothing yet."));
  return parts;
}

function sureParts({ probability, seen_at_ms: seen, picks, moves, days, failed }) {
  const since = `${times(picks, "pick")}, ${times(moves, "other move")}${failed ? "; work failed there since" : ""}`;
  const why = seen ? `looked at ${span(days * 86400e3)} ago; since then ${since}` : `never looked at; ${since}`;
  const node = el("p", { id: "bin-sure" }, `The book is right with ${(100 * probability).toFixed(1)} %`, el("small", {}, ` ${why}`));
  mark(node, "probability", probability);
  return node;
}

function quarantineParts({ stock, lots, serials }) {
  return [
    el("p", {}, "Put aside. To bring some back, open the bin where it goes and say: out of quarantine."),
    stock.length ? table(["Article", "Units"], stock.map((held) => [
      [held.article.name, el("small", {}, `${held.article.sku} ${held.article.gtin}`)], [count(held.units)],
    ])) : el("p", {}, "Nothing is put aside."),
    ...detailParts(lots, serials),
  ];
}

function detailParts(lots, serials) {
  const parts = [];
  if (lots.length) {
    parts.push(el("h3", {}, "Lots"), table(["Lot", "Last day", "Units"], lots.map((held) => [
      [held.lot, el("small", {}, held.article.sku)], [held.expires_on || "not said"], [count(held.units)],
    ])));
  }
  if (serials.length) {
    parts.push(el("h3", {}, "Serial numbers"), table(["Number", "Article", "Lot"],
      serials.map((unit) => [[unit.serial], [unit.article.sku], [unit.lot || "not said"]])));
  }
  return parts;
}

function eventRow(event, binId) {
  const sign = event.kind !== "moved" ? "" : event.to_place === `bin:${binId}` ? "+" : "−";
  const other = sign === "+" ? event.from_place : event.to_place;
  return [
    [clock(event.at_ms)],
    [sign ? `${sign}${count(event.units)}` : event.kind],
    event.kind === "moved"
      ? [event.article.name, el("small", {}, sign === "+" ? "from " : "to ", ...placeParts(other, openBin))]
      : [eventWords(event)],
    [event.person || event.device_id],
  ];
}

function table(heads, rows) {
  return el("table", {},
    el("thead", {}, el("tr", {}, ...heads.map((head) => el("th", { scope: "col" }, head)))),
    el("tbody", {}, ...rows.map((cells) => el("tr", {}, ...cells.map((parts) => {
      const text = typeof parts[0] === "string" ? parts[0] : "";
      return el("td", { class: text.startsWith("+") ? "plus" : text.startsWith("−") ? "minus" : null }, ...parts);
    })))));
}
