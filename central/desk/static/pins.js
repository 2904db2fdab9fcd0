// Pins: a planner lets one robot alone have a task that is not picked up yet.

import { $, el, mark, say } from "./dom.js";
import { whyNot } from "./reach.js";
import { state } from "./state.js";

const ANSWER_MS_MAX = 9000;
const PERSON = /^[A-Za-z0-9][A-Za-z0-9_.-]*$/;
const BEFORE_PICKUP = new Set(["open", "assigned"]);

/** Return the parts that pin a task: a choice of robots, and what central says to it. */
export function pinParts() {
  const choice = el("select", { class: "pin", hidden: true });
  const says = el("small", { role: "status" });
  choice.addEventListener("focus", () => offer(choice));
  choice.addEventListener("change", () => pin(choice, says));
  offer(choice);
  return { choice, says };
}

/** Show the choice where the task can still be pinned. */
export function fillPin({ choice, says }, task) {
  const can = task.worker_kind === "robot" && BEFORE_PICKUP.has(task.status);
  choice.hidden = !can;
  if (!can) say(says, "");
  if (choice.dataset.pins === task.task_id) return;
  choice.dataset.pins = task.task_id;
  choice.setAttribute("aria-label", `Pin ${task.task_id} to a robot`);
}

function offer(choice) {
  const robots = [...state.tables.robots.values()].map((robot) => robot.robot_id).sort();
  choice.replaceChildren(
    el("option", { value: "-" }, "Pin ..."), el("option", { value: "" }, "any robot"),
    ...robots.map((id) => el("option", { value: id }, id)));
}

async function pin(choice, says) {
  const robot = choice.value;
  choice.value = "-";
  if (robot === "-") return;
  const person = $("person").value.trim();
  const why = whyNot() || (PERSON.test(person) ? "" : "Say who you are first, above.");
  if (why) {
    tell(says, why, "bad");
    return;
  }
  choice.disabled = true;
  try {
    const answer = await fetch(`/api/tasks/${encodeURIComponent(choice.dataset.pins)}/pin`, {
      method: "POST", headers: { "content-type": "application/json" }, body: JSON.stringify({ robot, person }),
      signal: AbortSignal.timeout(ANSWER_MS_MAX),
    });
    const said = await answer.json();
    tell(says, said.text ?? said.detail, answer.ok ? "" : "bad");
  } catch {
    tell(says, "The desk did not answer: look at the task before asking again.", "bad");
  } finally {
    choice.disabled = false;
  }
}

function tell(says, text, mood) {
  mark(says, "mood", mood);
  say(says, text);
}
