// Starts the page: connection, map, tables, proposals, what is reached and how old it is.

import { openBin, startBin } from "./bin.js";
import { $, el, mark, say } from "./dom.js";
import { repaint, startFloor } from "./floor.js";
import { clock, span } from "./format.js";
import { startProposals } from "./proposals.js";
import { connect } from "./socket.js";
import { now, on, state, take } from "./state.js";
import { startTables } from "./tables.js";

const STALE_MS = 3500; // the desk speaks once a second

startTheme();
startPerson();
startFloor(openBin);
startTables(openBin);
startProposals(openBin);
startBin();
on(["status"], links);
connect(take, (isOpen) => {
  state.open = isOpen;
  freshness();
});
setInterval(freshness, 500);

function startTheme() {
  const wanted = localStorage.getItem("stockhelm-theme");
  if (wanted) document.documentElement.dataset.theme = wanted;
  const dark = matchMedia("(prefers-color-scheme: dark)");
  dark.addEventListener("change", repaint);
  $("theme").addEventListener("click", () => {
    const isDark = (document.documentElement.dataset.theme ?? (dark.matches ? "dark" : "light")) === "dark";
    document.documentElement.dataset.theme = isDark ? "light" : "dark";
    localStorage.setItem("stockhelm-theme", document.documentElement.dataset.theme);
    repaint();
  });
}

function startPerson() {
  const field = $("person");
  field.value = localStorage.getItem("stockhelm-person") ?? "planner";
  field.addEventListener("change", () => localStorage.setItem("stockhelm-person", field.value.trim()));
}

/** Say plainly whether what is shown is true now. */
function freshness() {
  const age = state.heardAt ? performance.now() - state.heardAt : Infinity;
  const link = !state.open ? "lost" : age > STALE_MS ? "stale" : "live";
  document.body.dataset.link = link;
  const pill = $("link-page");
  say(pill, { live: "Live", stale: "Stale", lost: state.heardAt ? "Reconnecting" : "Connecting" }[link]);
  mark(pill, "state", { live: "good", stale: "wait", lost: state.heardAt ? "bad" : "wait" }[link]);
  banner(link, age);
  say($("clock"), `Desk time ${clock(now())}`);
}

function banner(link, age) {
  const box = $("stale");
  const status = state.status;
  let text = "";
  if (link !== "live" && state.heardAt) {
    text = `The desk is not heard. What you see is ${span(age)} old; the page connects again by itself.`;
  } else if (status?.books) text = upper(status.books);
  else if (status && !status.broker) {
    text = "The message broker is not reached: robots stand where they were last heard, and nothing can be decided.";
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

function links() {
  const status = state.status;
  const pills = [
    ["broker", status.broker ? "good" : "bad", `Broker ${status.broker ? "up" : "down"}`],
    ["books", status.books ? "bad" : "good", status.books ? "Central not up yet" : "Central's books"],
    ...status.edges.map((edge) => [`edge-${edge.id}`, edge.online ? "good" : "bad", `Edge ${edge.id}${edge.online ? "" : " away"}`]),
  ];
  if (status.devices.length) {
    const online = status.devices.filter((device) => device.online).length;
    pills.push(["devices", online === status.devices.length ? "good" : "wait", `Devices ${online} of ${status.devices.length}`]);
  }
  const holder = $("links");
  const page = $("link-page");
  const kept = new Map([...holder.querySelectorAll("[data-link]")].map((node) => [node.dataset.link, node]));
  for (const [id, mood, text] of pills) {
    const pill = kept.get(id) ?? el("span", { class: "pill", data: { link: id } });
    kept.delete(id);
    say(pill, text);
    mark(pill, "state", mood);
    if (!pill.isConnected) holder.append(pill);
  }
  for (const gone of kept.values()) gone.remove();
  if (holder.firstElementChild !== page) holder.prepend(page);
}
