// Stop zones: what is closed for robots, who closed it, close a part of the floor, open it again.

import { $, el, mark, say } from "./dom.js";
import { markBox, nodesIn } from "./floor.js";
import { count, span } from "./format.js";
import { whyNot } from "./reach.js";
import { now, on, state } from "./state.js";

const ANSWER_MS_MAX = 9000;
const NODES_SENT_MAX = 1000;
const NODES_NAMED_MAX = 6;
const PERSON = /^[A-Za-z0-9][A-Za-z0-9_.-]*$/;
let box = null; // [x, y, x, y] in metres, as marked on the map

/** Begin to show stop zones, and let people make them. */
export function startZones() {
  on(["zones"], show);
  setInterval(show, 5000);
  $("zone-open").addEventListener("click", () => open($("zone-form").hidden));
  $("zone-cancel").addEventListener("click", () => open(false));
  $("zone-form").addEventListener("submit", close);
  $("zone-nodes").addEventListener("input", () => { box = null; });
}

function show() {
  const zones = [...state.tables.zones.values()];
  $("zones").hidden = zones.length === 0;
  $("zones").replaceChildren(...zones.map((zone) => {
    const named = zone.nodes.slice(0, NODES_NAMED_MAX).join(", ") + (zone.nodes.length > NODES_NAMED_MAX ? ", ..." : "");
    const left = zone.expires_at_ms - now();
    return el("li", { data: { zoneId: zone.zone_id } },
      el("span", {}, `Closed: ${count(zone.nodes.length)} nodes (${named})${zone.reason ? `: ${zone.reason}` : ""}`
        + `, by ${zone.person_id}, ${left > 0 ? `opens in ${span(left)}` : "opens now"}`),
      el("button", { type: "button", class: "quiet", "aria-label": `Open zone ${zone.zone_id} again`,
        on: { click: (event) => lift(event.currentTarget, zone.zone_id) } }, "Open again"));
  }));
}

function open(isOpen) {
  $("zone-form").hidden = !isOpen;
  $("zone-open").setAttribute("aria-expanded", String(isOpen));
  box = null;
  if (isOpen) {
    tell("Drag over the part of the map that robots shall not enter, or name its nodes.", "");
    $("zone-nodes").value = "";
  }
  markBox(isOpen ? take : null);
}

function take(marked) {
  const nodes = nodesIn(marked);
  box = marked;
  $("zone-nodes").value = nodes.join(" ");
  tell(nodes.length ? `${count(nodes.length)} nodes are marked.` : "No node lies there: mark a larger part.",
    nodes.length ? "" : "bad");
}

function tell(text, mood) {
  mark($("zone-says"), "mood", mood);
  say($("zone-says"), text);
}

function person() {
  const name = $("person").value.trim();
  if (PERSON.test(name)) return name;
  tell("Say who you are first, above: letters, digits, dots, hyphens, underscores.", "bad");
  $("person").focus();
  return "";
}

async function close(event) {
  event.preventDefault();
  const who = person();
  if (!who) return;
  const nodes = $("zone-nodes").value.split(/[\s,]+/).filter(Boolean);
  if (!nodes.length) {
    tell("Mark a part of the map, or name its nodes.", "bad");
    return;
  }
  const part = box && nodes.length > NODES_SENT_MAX ? { box_m: box } : { nodes };
  const body = { ...part, minutes: Number($("zone-minutes").value), reason: $("zone-reason").value.trim(), person: who };
  if (await ask("/api/zones", body, $("zone-close"))) open(false);
}

async function lift(button, id) {
  const who = person();
  if (who) await ask(`/api/zones/${encodeURIComponent(id)}/lift`, { person: who }, button);
}

/** Return whether central did it; its words are told. */
async function ask(path, body, button) {
  const why = whyNot();
  if (why) {
    tell(why, "bad");
    $("zone-form").hidden = false;
    return false;
  }
  button.disabled = true;
  try {
    const answer = await fetch(path, {
      method: "POST", headers: { "content-type": "application/json" }, body: JSON.stringify(body),
      signal: AbortSignal.timeout(ANSWER_MS_MAX),
    });
    const said = await answer.json();
    tell(said.text ?? said.detail, answer.ok ? "" : "bad");
    if (!answer.ok) $("zone-form").hidden = false;
    say($("floor-says"), said.text ?? said.detail);
    return answer.ok;
  } catch {
    tell("The desk did not answer: look whether the zone is there before asking again.", "bad");
    $("zone-form").hidden = false;
    return false;
  } finally {
    button.disabled = false;
  }
}
