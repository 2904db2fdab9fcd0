// Behind a proposal: how its units come about, what led to it, what came of it.

import { el } from "./dom.js";
import { clock } from "./format.js";
import { eventWords, placeParts } from "./tables.js";

/** Show or hide what is behind a proposal; it is looked up each time it is shown. */
export async function unfold({ behind, more }, id, openBin) {
  const isOpen = behind.hidden;
  behind.hidden = !isOpen;
  more.setAttribute("aria-expanded", String(isOpen));
  if (!isOpen) return;
  behind.replaceChildren(el("p", {}, "Looking it up …"));
  try {
    const answer = await fetch(`/api/proposals/${encodeURIComponent(id)}`);
    const found = await answer.json();
    if (!answer.ok) throw new Error(found.detail ?? String(answer.status));
    behind.replaceChildren(...whyParts(found, openBin));
  } catch (error) {
    behind.replaceChildren(el("p", {}, `Not to be had now: ${error.message}`));
  }
}

function whyParts({ sums, figures, causes, tasks, events }, openBin) {
  const shown = [];
  if (sums.length) {
    shown.push(el("h3", {}, "How many"), el("ol", { class: "sums" }, ...sums.map((line) => el("li", {}, line))));
  }
  if (figures.length) {
    shown.push(el("h3", {}, "Numbers behind it"), el("dl", { class: "numbers" },
      ...figures.map(({ label, text }) => el("div", {}, el("dt", {}, label), el("dd", {}, text)))));
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
