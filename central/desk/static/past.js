// Below a bin's drawer: saying what the bin holds, and what it held at any past time.

import { $, el, mark, say } from "./dom.js";
import { clock, count, units } from "./format.js";
import { whyNot } from "./reach.js";
import { now, on } from "./state.js";
import { placeParts } from "./tables.js";

const ANSWER_MS_MAX = 9000;
const MOVES_MAX = 50;
const MINUTE_MS = 60_000;
const PERSON = /^[A-Za-z0-9][A-Za-z0-9_.-]*$/;
const days = new Intl.DateTimeFormat("en", { day: "numeric", month: "short", year: "numeric" });
let shownId = "";
let isAsking = false;
let asked = 0;
let timer = 0;
let openBin = () => {};

/** Prepare both forms. */
export function startPast(open) {
  openBin = open;
  $("adjust-form").addEventListener("submit", (event) => { event.preventDefault(); adjust(); });
  $("past-form").addEventListener("submit", (event) => {
    event.preventDefault();
    const at = new Date($("past-at").value);
    if (!Number.isNaN(at.getTime())) showAt(at);
  });
  $("past-ago").addEventListener("input", () => {
    const at = new Date(now() - Number($("past-ago").value) * MINUTE_MS);
    $("past-at").value = localText(at);
    clearTimeout(timer);
    timer = setTimeout(() => showAt(at), 120);
  });
  $("past").addEventListener("toggle", () => {
    if ($("past").open && !$("past-at").value) $("past-at").value = localText(new Date(now()));
  });
  on(["reach"], mayAdjust);
}

/** Another bin is shown: forget what was said and shown of the last one. */
export function binShown(id) {
  if (id === shownId) return;
  shownId = id;
  asked += 1;
  $("adjust-form").reset();
  $("adjust-articles").replaceChildren();
  $("past-form").reset();
  $("past-ago").value = "0";
  $("past-body").replaceChildren();
  tell("", "");
  mayAdjust();
}

/** Offer the bin's articles: what lies there, and what is slotted there. */
export function binFound(bin) {
  const here = bin.stock.map((held) => held.article);
  if (bin.slot && !here.some((article) => article.gtin === bin.slot.gtin)) here.push(bin.slot);
  const list = $("adjust-articles");
  const skus = here.map((article) => article.sku || article.gtin);
  if (list.dataset.skus === skus.join() && list.childElementCount) return;
  list.replaceChildren(...here.map((article, n) => el("option", { value: skus[n] }, article.name)));
  mark(list, "skus", skus.join());
  if (here.length === 1 && !$("adjust-article").value) $("adjust-article").value = skus[0];
}

// --- saying what it holds ---------------------------------------------------------------------

function tell(text, mood) {
  mark($("adjust-says"), "mood", mood);
  say($("adjust-says"), text);
}

function mayAdjust() {
  const why = whyNot();
  $("adjust-send").disabled = isAsking || Boolean(why);
  $("adjust-send").title = why;
}

async function adjust() {
  const id = shownId;
  const person = $("person").value.trim();
  if (!PERSON.test(person)) {
    tell("Say who you are first, at the top of the page: letters, digits, dots, hyphens, underscores.", "bad");
    return;
  }
  const body = {
    article: $("adjust-article").value.trim(), person, reason: $("adjust-reason").value.trim(),
    [$("adjust-how").value === "to" ? "to_units" : "by_units"]: Number($("adjust-units").value),
    lot: $("adjust-lot").value.trim(), quarantine: $("adjust-how").value === "quarantine",
  };
  isAsking = true;
  mayAdjust();
  tell("Asking central …", "busy");
  const [ok, text] = await ask(id, body);
  isAsking = false;
  mayAdjust();
  if (id !== shownId) return;
  tell(text, ok ? "good" : "bad");
  if (ok) {
    $("adjust-units").value = "";
    $("adjust-reason").value = "";
  }
}

/** Return [whether central agreed, what it said]. */
async function ask(id, body) {
  try {
    const answer = await fetch(`/api/bins/${encodeURIComponent(id)}/adjustment`, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify(body),
      signal: AbortSignal.timeout(ANSWER_MS_MAX),
    });
    const said = await answer.json();
    return [answer.ok, String(said.text ?? said.detail ?? `refused (${answer.status})`)];
  } catch (error) {
    return [false, `the desk did not answer (${error.message}): is it running?`];
  }
}

// --- what it held -----------------------------------------------------------------------------

/** Return a time as a field of the page takes it: local, without a zone. */
function localText(at) {
  return new Date(at.getTime() - at.getTimezoneOffset() * MINUTE_MS).toISOString().slice(0, 19);
}

async function showAt(at) {
  const id = shownId;
  const mine = ++asked;
  let parts;
  try {
    const query = new URLSearchParams({ at: at.toISOString(), limit: MOVES_MAX });
    const answer = await fetch(`/api/bins/${encodeURIComponent(id)}/history?${query}`);
    const found = await answer.json();
    if (!answer.ok) throw new Error(found.detail ?? String(answer.status));
    parts = pastParts(found);
    mark($("past"), "units", found.units);
  } catch (error) {
    parts = [el("p", {}, `Not to be had now: ${error.message}`)];
  }
  if (mine === asked) $("past-body").replaceChildren(...parts);
}

function pastParts({ at_ms: at, units: held, stock, moves }) {
  return [
    el("p", {}, el("strong", {}, units(held)), ` at ${clock(at)}, ${days.format(at)}`),
    el("ul", {}, ...stock.map((line) => el("li", {}, `${count(line.units)} × ${line.article.name}`))),
    moves.length ? el("table", {},
      el("thead", {}, el("tr", {}, ...["When", "Change", "Left", "What", "Why, by whom"].map((head) => el("th", { scope: "col" }, head)))),
      el("tbody", {}, ...moves.map(moveRow))) : el("p", {}, "Nothing was moved there until then."),
  ];
}

function moveRow(move) {
  const isMore = move.by_units > 0;
  return el("tr", {},
    el("td", {}, clock(move.at_ms), el("small", {}, days.format(move.at_ms))),
    el("td", { class: isMore ? "plus" : "minus" }, `${isMore ? "+" : "−"}${count(Math.abs(move.by_units))}`),
    el("td", {}, move.left_units === null ? "waits" : count(move.left_units)),
    el("td", {}, move.article.name, el("small", {}, isMore ? "from " : "to ", ...placeParts(move.other_place, openBin))),
    el("td", {}, move.reason, el("small", {}, move.person || move.device_id)));
}
