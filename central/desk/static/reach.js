// Who can be reached, and so what is true now and whether anything can be decided.

import { $, el, mark, say } from "./dom.js";
import { span } from "./format.js";
import { on, state, touch } from "./state.js";

const STALE_MS = 3500; // the desk speaks once a second
const LOOK_MS = 500;
const UNDECIDED = "nothing can be decided until it is back";
let shown = "";

/** Begin to say plainly whether what is shown is true now. */
export function startReach() {
  on(["status"], look);
  setInterval(look, LOOK_MS);
}

/** Say at once that the connection opened or went. */
export function linkChanged(isOpen) {
  state.open = isOpen;
  look();
}

const age = () => (state.heardAt ? performance.now() - state.heardAt : Infinity);

/** Return "live", "stale" (connected, but silent) or "lost". */
const linkNow = () => (!state.open ? "lost" : age() > STALE_MS ? "stale" : "live");

/** Return why nothing can be decided now, "" where it can. */
export function whyNot() {
  const status = state.status;
  if (!status) return "the desk is not heard yet";
  if (linkNow() !== "live") return `the desk is not heard: ${UNDECIDED}`;
  if (!status.broker) return `the message broker is not reached: ${UNDECIDED}`;
  if (status.books) return status.books;
  if (!status.central) return `central is not heard: ${UNDECIDED}`;
  return "";
}

function look() {
  const link = linkNow();
  document.body.dataset.link = link;
  const pill = $("link-page");
  say(pill, { live: "Live", stale: "Stale", lost: state.heardAt ? "Reconnecting" : "Connecting" }[link]);
  mark(pill, "state", { live: "good", stale: "wait", lost: state.heardAt ? "bad" : "wait" }[link]);
  if (state.status) pills(link === "live");
  banner(link);
  const now = whyNot();
  if (now !== shown) {
    shown = now;
    touch("reach");
  }
}

function banner(link) {
  const box = $("stale");
  const status = state.status;
  let text = "";
  if (link !== "live" && state.heardAt) {
    text = `The desk is not heard. What you see is ${span(age())} old; the page connects again by itself.`;
  } else if (status?.books) text = upper(status.books);
  else if (status && !status.broker) {
    text = "The message broker is not reached: robots stand where they were last heard, and nothing can be decided.";
  } else if (status && !status.central) {
    text = `Central is not heard: what you see is what its books say, and ${UNDECIDED}.`;
  }
  // The age changes each second; it must not be read out each second.
  if (!text) box.hidden = true;
  else {
    box.setAttribute("role", box.hidden ? "alert" : "presentation");
    box.hidden = false;
    say(box, text);
  }
}

const upper = (text) => text.charAt(0).toUpperCase() + text.slice(1) + (text.endsWith(".") ? "" : ".");

/** Return [mood, text] of what is only known as long as whoever tells it is heard. */
const known = (isKnown, name, mood, text) => (isKnown ? [mood, text] : ["unknown", `${name} unknown`]);

function central(status) {
  if (status.books) return ["bad", "Central not up yet"];
  return status.central ? ["good", "Central up"] : ["bad", "Central not heard"];
}

function pills(isLive) {
  const status = state.status;
  const heard = isLive && status.broker; // edges, devices and central speak over the broker
  const found = [
    ["broker", ...known(isLive, "Broker", status.broker ? "good" : "bad", `Broker ${status.broker ? "up" : "down"}`)],
    ["central", ...known(isLive && (status.broker || status.books), "Central", ...central(status))],
    ...status.edges.map((edge) => [`edge-${edge.id}`, ...known(heard, `Edge ${edge.id}`,
      edge.online ? "good" : "bad", `Edge ${edge.id}${edge.online ? "" : " away"}`)]),
  ];
  if (status.devices.length) {
    const online = status.devices.filter((device) => device.online).length;
    found.push(["devices", ...known(heard, "Devices", online === status.devices.length ? "good" : "wait",
      `Devices ${online} of ${status.devices.length}`)]);
  }
  const holder = $("links");
  const kept = new Map([...holder.querySelectorAll("[data-link]")].map((node) => [node.dataset.link, node]));
  for (const [id, mood, text] of found) {
    const pill = kept.get(id) ?? el("span", { class: "pill", data: { link: id } });
    kept.delete(id);
    say(pill, text);
    mark(pill, "state", mood);
    if (!pill.isConnected) holder.append(pill);
  }
  for (const gone of kept.values()) gone.remove();
  if (holder.firstElementChild !== $("link-page")) holder.prepend($("link-page"));
}
