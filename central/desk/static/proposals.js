// What waits for a person: reason, what is free, approve and reject; what was decided lately.

import { $, el, KeyedRows, mark, say } from "./dom.js";
import { ago, binOf, bins, count, place, span } from "./format.js";
import { whyNot } from "./reach.js";
import { now, on, state } from "./state.js";
import { chip, wayParts } from "./tables.js";
import { unfold } from "./why.js";

const ANSWER_MS_MAX = 9000;
const UNITS_MAX = 1_000_000;
const PERSON = /^[A-Za-z0-9][A-Za-z0-9_.-]*$/;

/** Begin to show proposals. */
export function startProposals(openBin) {
  const waiting = new KeyedRows($("proposals-rows"), (proposal) => makeRow(proposal, openBin), fillRow);
  const decided = new KeyedRows($("decided-rows"), makeDecided, fillDecided);
  const show = () => {
    const all = [...state.tables.proposals.values()];
    const open = all.filter((proposal) => proposal.status === "waiting")
      .sort((a, b) => a.created_at_ms - b.created_at_ms);
    const past = all.filter((proposal) => proposal.status !== "waiting")
      .sort((a, b) => b.decided_at_ms - a.decided_at_ms);
    waiting.show(open.map((proposal) => [proposal.proposal_id, proposal]));
    decided.show(past.map((proposal) => [proposal.proposal_id, proposal]));
    say($("proposals-count"), open.length ? String(open.length) : "");
    say($("decided-count"), past.length ? `(${past.length})` : "");
    $("proposals-none").hidden = open.length > 0 || !state.books;
  };
  on(["proposals"], show);
  on(["reach"], () => waiting.refresh());
  setInterval(() => { waiting.refresh(); decided.refresh(); }, 5000);
  startMore();
}

function whatText(proposal) {
  if (proposal.kind === "count") return `Count ${bins(proposal.units)}`;
  const verb = { refill: "Refill", transfer: "Move", buy: "Buy", adjust: "Adjust" }[proposal.kind] ?? proposal.kind;
  return `${verb} ${count(proposal.units)} × ${proposal.article.name}`;
}

function makeRow(proposal, openBin) {
  const id = proposal.proposal_id;
  const behind = el("div", { class: "behind", id: `behind-${id}`, hidden: true });
  const parts = {
    tr: el("tr", { data: { proposalId: id } }),
    what: el("strong"), reason: el("p", { class: "reason" }), age: el("small"), behind,
    kind: chip(proposal.kind), asking: false, most: el("span"),
    units: el("input", {
      type: "number", min: 1, max: UNITS_MAX, step: 1, inputmode: "numeric", class: "units",
      "aria-label": `Other units for ${id}`,
    }),
    why: el("input", { maxlength: 400, "aria-label": `Reason for deciding ${id}`, autocomplete: "off" }),
  };
  const press = (approve) => () => decide(parts, id, approve);
  parts.yes = el("button", { type: "button", class: "yes", "aria-label": `Approve ${id}`, on: { click: press(true) } }, "Approve");
  parts.no = el("button", { type: "button", class: "no", "aria-label": `Reject ${id}`, on: { click: press(false) } }, "Reject");
  parts.more = el("button", {
    type: "button", class: "quiet", "aria-expanded": "false", "aria-controls": behind.id, "aria-label": `Why ${id}`,
    on: { click: () => unfold(parts, id, openBin) },
  }, "Why?");
  const cell = el("td", {},
    el("div", { class: "what" }, parts.kind, parts.what),
    el("p", { class: "way" }, ...wayParts(proposal, openBin)),
    parts.reason,
    el("div", { class: "decide" },
      proposal.kind === "count" ? null : el("label", {}, parts.most, parts.units),
      el("label", { class: "why" }, "Your reason", parts.why),
      el("div", { class: "buttons" }, parts.yes, parts.no, parts.more)),
    behind, parts.age);
  parts.tr.append(cell);
  return parts;
}

function fillRow(parts, proposal) {
  for (const [name, value] of [["kind", proposal.kind], ["status", proposal.status], ["units", proposal.units],
    ["toBin", binOf(proposal.to_place)]]) mark(parts.tr, name, value);
  say(parts.what, whatText(proposal));
  say(parts.reason, proposal.reason);
  const free = proposal.free_units;
  parts.units.placeholder = String(proposal.units);
  parts.units.max = free || UNITS_MAX; // where nothing is free, central says what that means
  say(parts.most, free === null ? "Other units" : `Other units, ${count(free)} free`);
  const why = whyNot();
  for (const button of [parts.yes, parts.no]) {
    button.disabled = parts.asking || Boolean(why);
    button.title = why;
  }
  const left = proposal.expires_at_ms - now();
  say(parts.age, `${proposal.proposal_id}, proposed ${ago(proposal.created_at_ms, now())}`
    + (left > 0 ? `, expires in ${span(left)}` : ", about to expire"));
}

function makeDecided(proposal) {
  const parts = {
    tr: el("tr", { data: { proposalId: proposal.proposal_id } }), chip: chip(proposal.status),
    what: el("td"), text: el("small"),
  };
  parts.tr.append(
    el("th", { scope: "row" }, el("span", { class: "id" }, proposal.proposal_id), el("small", {}, proposal.kind)),
    parts.what, el("td", {}, parts.chip, parts.text));
  return parts;
}

function fillDecided(parts, proposal) {
  mark(parts.tr, "status", proposal.status);
  say(parts.what, whatText(proposal));
  say(parts.chip, proposal.status);
  say(parts.text, [proposal.decided_by && `by ${proposal.decided_by}`, ago(proposal.decided_at_ms, now()),
    proposal.decision_reason].filter(Boolean).join(", "));
}

// --- deciding -----------------------------------------------------------------------------------

function tell(text, mood) {
  const says = $("says");
  mark(says, "mood", mood);
  say(says, text);
}

async function decide(parts, id, approve) {
  const person = $("person").value.trim();
  if (!PERSON.test(person)) {
    tell("Say who you are first, above: letters, digits, dots, hyphens, underscores.", "bad");
    $("person").focus();
    return;
  }
  if (approve && !parts.units.checkValidity()) {
    const source = place(state.tables.proposals.get(id)?.from_place ?? "");
    tell(parts.units.validity.rangeOverflow && parts.units.max < UNITS_MAX
      ? `${id}: ${count(parts.units.max)} ${parts.units.max === "1" ? "is" : "are"} free at ${source}, not ${parts.units.value}.`
      : `Other units for ${id}: expected a whole number from 1 to ${count(parts.units.max)}.`, "bad");
    parts.units.focus();
    return;
  }
  const body = { approve, units: approve ? Number(parts.units.value || 0) : 0, reason: parts.why.value.trim(), person };
  const asking = (isAsking) => {
    parts.asking = isAsking;
    for (const button of [parts.yes, parts.no]) button.disabled = isAsking || Boolean(whyNot());
  };
  asking(true);
  tell(`${approve ? "Approving" : "Rejecting"} ${id} …`, "busy");
  const [ok, text] = await ask(id, body);
  tell(`${id}: ${text}`, ok ? "good" : "bad"); // central's words begin with what came of it
  if (!ok) asking(false);
  else if (parts.tr.contains(document.activeElement) || document.activeElement === document.body) $("proposals").focus();
}

/** Return [whether central agreed, what it said]. */
async function ask(id, body) {
  try {
    const answer = await fetch(`/api/proposals/${encodeURIComponent(id)}/decision`, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify(body),
      signal: AbortSignal.timeout(ANSWER_MS_MAX),
    });
    const said = await answer.json();
    return [answer.ok, String(said.text ?? (typeof said.detail === "string" ? said.detail : `refused (${answer.status})`))];
  } catch (error) {
    return [false, `the desk did not answer (${error.message}): is it running?`];
  }
}

// --- more below -----------------------------------------------------------------------------------

/** Say how many proposals lie below the part of the list that is seen. */
function startMore() {
  const list = $("proposals-list");
  const button = $("proposals-more");
  const look = () => {
    const end = list.getBoundingClientRect().bottom;
    const rows = [...$("proposals-rows").children];
    const hidden = rows.filter((row) => row.getBoundingClientRect().bottom > end + 4);
    const isMore = list.scrollHeight - list.scrollTop - list.clientHeight > 4 && hidden.length > 0;
    mark(list, "more", isMore ? "yes" : "no");
    say(button, hidden.length > 1 ? `${hidden.length} more below ↓` : "More below ↓");
    button.classList.toggle("gone", !isMore);
    button.tabIndex = isMore ? 0 : -1;
  };
  button.addEventListener("click", () => list.scrollBy({ top: list.clientHeight * 0.8, behavior: "smooth" }));
  list.addEventListener("scroll", look, { passive: true });
  const watching = new ResizeObserver(look);
  for (const node of [list, $("proposals-rows")]) watching.observe(node);
  on(["proposals"], look);
}
