// Figures, tasks, orders, events, robots: rows of data into rows of tables.

import { $, el, KeyedRows, mark, say } from "./dom.js";
import { ago, binOf, bins, clock, count, MOODS, place, span, units } from "./format.js";
import { fillPin, pinParts } from "./pins.js";
import { FLAG } from "./socket.js";
import { now, on, state, taskOf } from "./state.js";

const OPEN_TASKS = new Set(["open", "assigned", "moving"]);
const TASK_ORDER = { moving: 0, assigned: 1, open: 2, failed: 3, done: 4, cancelled: 5 };
const OPEN_ORDERS = new Set(["accepted", "allocated", "picked"]);
const KINDS = ["receive", "putaway", "refill", "transfer", "pick", "deliver", "count"];
const AGES_EVERY_MS = 5000;

/** Begin to fill the tables; `openBin(id)` is called when somebody asks for a bin. */
export function startTables(openBin) {
  const shown = [tasks(openBin), orders(), events(openBin), robots()];
  on(["figures", "robots", "marks"], figures);
  on(["figures"], kinds());
  setInterval(() => shown.forEach((rows) => rows.refresh()), AGES_EVERY_MS);
}

/** Return what shows a place; a bin can be asked for. */
export function placeParts(where, openBin) {
  const bin = binOf(where);
  if (!bin) return [el("span", {}, place(where))];
  return [el("button", {
    type: "button", class: "bin-link", data: { showBin: bin }, "aria-label": `Show bin ${bin}`,
    on: { click: () => openBin(bin) },
  }, bin)];
}

/** Return where something goes from and to; one place where it stays there, none where none is named. */
export function wayParts({ from_place: from, to_place: to }, openBin) {
  const ends = [...new Set([from, to])].filter((where) => where && where !== "bin:");
  return ends.flatMap((where, index) => [...(index ? [" → "] : []), ...placeParts(where, openBin)]);
}

export const chip = (text) => el("span", { class: "chip", data: { mood: MOODS[text] ?? "" } }, text);

function setChip(node, text) {
  say(node, text);
  mark(node, "mood", MOODS[text] ?? "");
}

const row = (attributes) => el("tr", { role: "row", ...attributes });

/** Return a cell; on a narrow screen a row is no line but a card, and `part` says where in it. */
const cell = (part, tag = "td") =>
  el(tag, { role: tag === "th" ? "rowheader" : "cell", scope: tag === "th" ? "row" : null, data: { part } });

// --- figures ------------------------------------------------------------------------------------

function setFigure(name, value, note, mood = "") {
  const box = document.querySelector(`[data-figure="${name}"]`);
  const [number, remark] = box.querySelectorAll("dd");
  say(number, value);
  say(remark, note);
  mark(box, "mood", mood);
}

function figures() {
  const found = state.tables.figures.get("figures");
  if (found) {
    setFigure("orders_waiting", count(found.orders_waiting),
      `${count(found.orders_filled)} filled${found.orders_refused ? `, ${count(found.orders_refused)} refused` : ""}`);
    setFigure("proposals_waiting", count(found.proposals_waiting),
      found.proposals_waiting ? "approve or reject" : "nothing to decide", found.proposals_waiting ? "wait" : "");
    const sum = (name) => found.tasks.reduce((total, kind) => total + kind[name], 0);
    setFigure("tasks_open", count(sum("open")),
      `${count(sum("done"))} done${sum("failed") ? `, ${count(sum("failed"))} failed` : ""}`);
    setFigure("events", count(found.events), `${units(found.units_in_bins)} in bins`);
  }
  const rows = [...state.tables.robots.values()];
  const online = rows.filter((robot) => robot.online).length;
  const is = (flag) => [...state.robots.values()].filter((robot) => robot.flags & flag && robot.flags & FLAG.ONLINE).length;
  setFigure("robots", rows.length ? `${online} of ${rows.length}` : "0",
    `${is(FLAG.DRIVING)} driving, ${is(FLAG.LOADED)} loaded`);
}

function kinds() {
  const columns = new Map();
  const add = (kind) => {
    const cells = { open: el("td"), done: el("td"), failed: el("td") };
    columns.set(kind, cells);
    $("kinds-names").append(el("th", { scope: "col", data: { kind } }, kind));
    for (const name of ["open", "done", "failed"]) $(`kinds-${name}`).append(cells[name]);
  };
  KINDS.forEach(add);
  return () => {
    const found = new Map((state.tables.figures.get("figures")?.tasks ?? []).map((kind) => [kind.kind, kind]));
    for (const kind of found.keys()) if (!columns.has(kind)) add(kind);
    for (const [kind, cells] of columns) {
      for (const name of ["open", "done", "failed"]) say(cells[name], count(found.get(kind)?.[name] ?? 0));
      cells.failed.classList.toggle("some", (found.get(kind)?.failed ?? 0) > 0);
    }
  };
}

// --- tasks --------------------------------------------------------------------------------------

function tasks(openBin) {
  const rows = new KeyedRows($("tasks-rows"), (task) => {
    const parts = {
      tr: row({ data: { taskId: task.task_id } }), id: cell("id", "th"), what: cell("what"),
      way: cell("way"), who: cell("who"), status: cell("status"), note: cell("note"), when: cell("when"), kind: el("small"), chip: chip(task.status), waits: el("span"), refs: el("small"),
      units: el("span"), sku: el("small"), pin: pinParts(),
    };
    parts.id.append(el("span", { class: "id" }, task.task_id), parts.kind);
    parts.what.append(parts.units, parts.sku);
    parts.way.append(...wayParts(task, openBin));
    parts.status.append(parts.chip);
    parts.note.append(parts.waits, parts.refs, parts.pin.choice, parts.pin.says);
    parts.tr.append(parts.id, parts.what, parts.way, parts.who, parts.status, parts.note, parts.when);
    return parts;
  }, fillTask);
  const filter = $("tasks-filter");
  const show = () => {
    const all = [...state.tables.tasks.values()].sort(beforeTask);
    const open = all.filter((task) => OPEN_TASKS.has(task.status));
    const wanted = { all, open, ended: all.filter((task) => !OPEN_TASKS.has(task.status)) }[filter.value];
    rows.show(wanted.map((task) => [task.task_id, task]));
    say($("tasks-count"), `${count(open.length)} open`);
    $("tasks-none").hidden = wanted.length > 0;
  };
  filter.addEventListener("change", show);
  on(["tasks"], show);
  return rows;
}

function beforeTask(a, b) {
  const [openA, openB] = [OPEN_TASKS.has(a.status), OPEN_TASKS.has(b.status)];
  if (openA !== openB) return openA ? -1 : 1;
  if (openA) return TASK_ORDER[a.status] - TASK_ORDER[b.status] || a.due_at_ms - b.due_at_ms;
  return endOf(b) - endOf(a);
}

const endOf = (task) => task.done_at_ms || task.created_at_ms;

/** Return what a task moves or looks at. */
export function taskWhat(task) {
  if (task.article.gtin) return `${count(task.units)} × ${task.article.name}`;
  return task.kind === "count" ? bins(task.units) : units(task.units);
}

function fillTask(parts, task) {
  const isOpen = OPEN_TASKS.has(task.status);
  for (const [name, value] of [["status", task.status], ["kind", task.kind], ["proposalId", task.proposal_id]]) {
    mark(parts.tr, name, value);
  }
  parts.tr.classList.toggle("ended", !isOpen);
  say(parts.kind, task.kind);
  say(parts.units, taskWhat(task));
  say(parts.sku, task.article.sku);
  say(parts.who, task.worker || (isOpen ? "nobody yet" : ""));
  setChip(parts.chip, task.status);
  say(parts.waits, task.waits);
  fillPin(parts.pin, task);
  say(parts.refs, [task.order_id && `order ${task.order_id}`, task.proposal_id && `proposal ${task.proposal_id}`]
    .filter(Boolean).join(", "));
  const late = isOpen && task.due_at_ms > 0 && task.due_at_ms < now();
  parts.when.classList.toggle("late", late);
  say(parts.when, !isOpen ? ago(endOf(task), now()) + (task.confirmed_at_ms ? ", seen there since" : "")
    : late ? `late ${span(now() - task.due_at_ms)}` : `due in ${span(task.due_at_ms - now())}`);
}

// --- orders -------------------------------------------------------------------------------------

function orders() {
  const rows = new KeyedRows($("orders-rows"), (order) => {
    const parts = {
      tr: row({ data: { orderId: order.order_id } }), id: cell("id", "th"), what: cell("what"),
      picked: cell("picked"), status: cell("status"), when: cell("when"), chip: chip(order.status), share: el("span"), text: el("span"),
    };
    parts.id.append(el("span", { class: "id" }, order.order_id));
    parts.picked.append(parts.text, el("span", { class: "bar", "aria-hidden": "true" }, parts.share));
    parts.status.append(parts.chip);
    parts.tr.append(parts.id, parts.what, parts.picked, parts.status, parts.when);
    return parts;
  }, (parts, order) => {
    mark(parts.tr, "status", order.status);
    parts.tr.classList.toggle("ended", !OPEN_ORDERS.has(order.status));
    say(parts.what, order.lines.map((line) => `${count(line.units)} × ${line.article.name}`).join(", "));
    say(parts.text, `${count(order.picked_units)} of ${count(order.units)}`);
    parts.share.style.width = `${order.units ? (100 * order.picked_units) / order.units : 0}%`;
    setChip(parts.chip, order.status);
    say(parts.when, ago(order.filled_at_ms || order.ordered_at_ms, now()));
  });
  on(["orders"], () => {
    const all = [...state.tables.orders.values()].sort((a, b) => {
      const [openA, openB] = [OPEN_ORDERS.has(a.status), OPEN_ORDERS.has(b.status)];
      if (openA !== openB) return openA ? -1 : 1;
      return openA ? a.ordered_at_ms - b.ordered_at_ms
        : (b.filled_at_ms || b.ordered_at_ms) - (a.filled_at_ms || a.ordered_at_ms);
    });
    rows.show(all.map((order) => [order.order_id, order]));
    say($("orders-count"), `${count(all.filter((order) => OPEN_ORDERS.has(order.status)).length)} open`);
    $("orders-none").hidden = all.length > 0;
  });
  return rows;
}

// --- events -------------------------------------------------------------------------------------

/** Return an event in words. */
export function eventWords(event) {
  const what = event.article.gtin ? event.article.name : "no article label";
  if (event.kind === "moved") return `${count(event.units)} × ${what}`;
  if (event.kind === "counted") return `counted ${count(event.units)} × ${what}, books said ${count(event.book_units)}`;
  return `saw ${what}`;
}

function events(openBin) {
  const rows = new KeyedRows($("events-rows"), (event) => {
    const parts = {
      tr: row({ data: { eventId: event.event_id } }), when: cell("when"),
      what: cell("what"), where: cell("where"), by: cell("by"),
    };
    const way = wayParts(event, openBin);
    parts.what.append(eventWords(event), el("small", {}, event.reason || event.kind));
    parts.where.append(...way);
    parts.by.append(event.person || event.device_id,
      el("small", {}, event.person_id ? event.device_id : ""));
    parts.tr.append(parts.when, parts.what, parts.where, parts.by);
    return parts;
  }, (parts, event) => say(parts.when, clock(event.at_ms)));
  on(["events"], () => {
    const all = [...state.tables.events.values()].sort((a, b) => b.at_ms - a.at_ms);
    rows.show(all.map((event) => [event.event_id, event]));
    $("events-none").hidden = all.length > 0;
  });
  return rows;
}

// --- robots -------------------------------------------------------------------------------------

function robots() {
  const rows = new KeyedRows($("robots-rows"), (robot) => {
    const parts = {
      tr: row({ data: { robotId: robot.robot_id } }), id: cell("id", "th"), state: cell("state"),
      task: cell("task"), carries: cell("carries"), battery: cell("battery"), chip: chip(""), errors: el("small"),
    };
    parts.id.append(el("span", { class: "id" }, robot.serial));
    parts.state.append(parts.chip, parts.errors);
    parts.tr.append(parts.id, parts.state, parts.task, parts.carries, parts.battery);
    return parts;
  }, fillRobot, { fresh: false });
  const show = () => {
    const all = [...state.tables.robots.values()].sort((a, b) => a.index - b.index);
    rows.show(all.map((robot) => [robot.robot_id, robot]));
    $("robots-none").hidden = all.length > 0;
  };
  on(["robots"], show);
  let last = 0;
  on(["marks"], () => { // battery and driving change with each frame: once a second is enough to read
    if (performance.now() - last < 1000) return;
    last = performance.now();
    rows.refresh();
  });
  return rows;
}

function fillRobot(parts, robot) {
  const flags = state.robots.get(robot.index)?.flags ?? 0;
  const battery = state.robots.get(robot.index)?.battery ?? NaN;
  const task = taskOf(robot);
  const isOn = task && OPEN_TASKS.has(task.status);
  const [words, mood] = !robot.online ? ["silent", "bad"]
    : robot.errors.length ? ["faulty", "bad"]
      : flags & FLAG.PAUSED ? ["paused", "wait"]
        : flags & FLAG.DRIVING ? ["driving", "busy"]
          : isOn ? ["working", "busy"] : ["free", "good"];
  say(parts.chip, words);
  mark(parts.chip, "mood", mood);
  mark(parts.tr, "state", words);
  say(parts.errors, robot.errors.join("; "));
  say(parts.task, isOn ? `${task.kind} to ${place(task.to_place)}` : robot.mode && robot.mode !== "AUTOMATIC" ? robot.mode : "");
  say(parts.carries, robot.carries);
  say(parts.battery, Number.isNaN(battery) ? "" : `${Math.round(battery)} %`);
}
