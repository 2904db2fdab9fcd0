// Starts the page: connection, map, tables, proposals, who is reached, theme and name.

import { openBin, startBin } from "./bin.js";
import { $, say } from "./dom.js";
import { repaint, startFloor } from "./floor.js";
import { clock } from "./format.js";
import { startIntro } from "./intro.js";
import { startProposals } from "./proposals.js";
import { linkChanged, startReach } from "./reach.js";
import { connect } from "./socket.js";
import { now, take } from "./state.js";
import { startTables } from "./tables.js";
import { startZones } from "./zones.js";

startTheme();
startPerson();
startFloor(openBin);
startTables(openBin);
startProposals(openBin);
startBin();
startIntro();
startReach();
startZones();
connect(take, linkChanged);
setInterval(() => say($("clock"), `Desk time ${clock(now())}`), 500);

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
