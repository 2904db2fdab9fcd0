// What waits for a person: reason, numbers, the chain behind it, approve and reject.

import { $, el, KeyedRows, mark, say } from "./dom.js";
import { ago, binOf, clock, count, number, place, span, words } from "./format.js";
import { now, on, state } from "./state.js";
import { chip, eventWords, placeParts } from "./tables.js";

const ANSWER_MS_MAX = 9000;
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
  setInterval(() => { waiting.refresh(); decided.refresh(); }, 5000);
}

function whatText(proposal) {
  if (proposal.kind === "count") return `Count ${count(proposal.units)} bins`;
  const verb = { refill: "Refill", transfer: "Move", buy: "Buy" }[proposal.kind] ?? proposal.kind;
  return `${verb} ${count(proposal.units)} × ${proposal.article.name}`;
}

function makeRow(proposal, openBin) {
  const id = proposal.proposal_id;
  const behind = el("div", { class: "behind", id: `behind-${id}`, hidden: true });
  const parts = {
    tr: el("tr", { data: { proposalId: id } }),
    what: el("strong"), reason: el("p", { class: "reason" }), age: el("small"), behind,
    kind: chip(proposal.kind),
    units: el("input", {
      type: "number", min: 1, max: 1000000, step: 1, inputmode: "numeric", class: "units",
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
    el("p", { class: "way" }, ...placeParts(proposal.from_place, openBin),
      ...(proposal.to_place === proposal.from_place ? [] : [" → ", ...placeParts(proposal.to_place, openBin)])),
    parts.reason,
    el("div", { class: "decide" },
      el("label", {}, "Other units", parts.units),
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
  parts.units.placeholder = String(proposal.units);
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
  if (!parts.units.checkValidity()) {
    tell(`Other units for ${id}: expected a whole number from 1 to 1 000 000.`, "bad");
    parts.units.focus();
    return;
  }
  const body = { approve, units: Number(parts.units.value || 0), reason: parts.why.value.trim(), person };
  const buttons = [parts.yes, parts.no];
  buttons.forEach((button) => { button.disabled = true; });
  tell(`${approve ? "Approving" : "Rejecting"} ${id} …`, "busy");
  const [ok, text] = await ask(id, body);
  tell(ok ? `${id} ${approve ? "approved" : "rejected"}: ${text}` : `${id}: ${text}`, ok ? "good" : "bad");
  if (!ok) buttons.forEach((button) => { button.disabled = false; });
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

// --- why ----------------------------------------------------------------------------------------

async function unfold(parts, id, openBin) {
  const isOpen = parts.behind.hidden;
  parts.behind.hidden = !isOpen;
  parts.more.setAttribute("aria-expanded", String(isOpen));
  if (!isOpen) return;
  parts.behind.replaceChildren(el("p", {}, "Looking it up …"));
  try {
    const answer = await fetch(`/api/proposals/${encodeURIComponent(id)}`);
    const found = await answer.json();
    if (!answer.ok) throw new Error(found.detail ?? String(answer.status));
    parts.behind.replaceChildren(...whyParts(found, openBin));
  } catch (error) {
    parts.behind.replaceChildren(el("p", {}, `Not to be had now: ${error.message}`));
  }
}

function whyParts({ proposal, causes, tasks, events }, openBin) {
  const shown = [];
  const numbers = Object.entries(proposal.numbers);
  if (numbers.length) {
    shown.push(el("h3", {}, "Numbers it was made from"), el("dl", { class: "numbers" },
      ...numbers.map(([name, value]) => el("div", {}, el("dt", {}, words(name)), el("dd", {}, valueText(value))))));
  }
  shown.push(el("h3", {}, "What led to it"));
  shown.push(causes.length
    ? el("ul", { class: "chain" }, ...causes.map((cause) => el("li", {}, cause.text,
      el("small", {}, [cause.kind === "other" ? "" : cause.id, cause.at_ms ? clock(cause.at_ms) : ""].filter(Boolean).join(", ")))))
    : el("p", {}, "Nothing but the numbers above."));
  if (tasks.length) {
    shown.push(el("h3", {}, "What came of it"), el("ul", { class: "chain" },
      ...tasks.map((task) => el("li", {}, `${task.kind} ${task.task_id}: ${task.status}`, el("small", {}, task.waits))),
      ...events.map((event) => el("li", {}, `${eventWords(event)} `,
        ...(event.from_place ? [...placeParts(event.from_place, openBin), " → "] : []),
        ...placeParts(event.to_place, openBin), el("small", {}, `${event.event_id}, ${clock(event.at_ms)}`)))));
  }
  return shown;
}

function valueText(value) {
  if (typeof value === "number") return number(value);
  return typeof value === "string" ? (value.startsWith("bin:") ? place(value) : value) : JSON.stringify(value);
}
