// The live map: a still canvas of lanes and bins below, a live one of robots and moves above.

import { $, say } from "./dom.js";
import { binOf, count, place, units } from "./format.js";
import { layOut, View } from "./geometry.js";
import {
  isLow, fillShare, paintBox, paintChosen, paintMoves, paintNames, paintRobot, paintStill, paintZones, readColours,
} from "./paint.js";
import { FLAG } from "./socket.js";
import { binById, on, state, taskOf } from "./state.js";

const TURN_BELOW_PX = 560;
const TURN_FROM_ASPECT = 1.5;
const GLIDE_MS = 220;
const JUMP_M = 4;
const TRAIL_MAX = 26;
const TRAIL_EVERY_MS = 110;
const TRAILS_FOR_ROBOTS_MAX = 200;
const NEAR_PX = 9;
const MOVES_SHOWN_MAX = 60;
const calm = matchMedia("(prefers-reduced-motion: reduce)");

const holder = $("floor");
const still = $("floor-still");
const live = $("floor-live");
let layout = null;
let view = null;
let colours = null;
let moves = [];
let robotNames = new Map();
let chosen = -1; // index of the bin that keyboard or pointer is on
let chosenRobot = -1;
let stillDirty = true;
let openBin = () => {};
let marking = null; // {taken(box), from, to}: somebody draws a rectangle, in pixels
let nodeById = new Map();

/** Begin to draw; `onBin(id)` is called when somebody asks for a bin. */
export function startFloor(onBin) {
  openBin = onBin;
  colours = readColours();
  new ResizeObserver(resize).observe(holder);
  on(["site"], takeSite);
  on(["bins"], () => { stillDirty = true; });
  on(["tasks", "site"], findMoves);
  on(["robots"], () => {
    robotNames = shortNames([...state.tables.robots.values()]);
  });
  listen();
  requestAnimationFrame(draw);
}

/** Take the colours anew: the theme changed. */
export function repaint() {
  colours = readColours();
  stillDirty = true;
}

/** Let the next drag over the map mark a rectangle: `taken([x, y, x, y])` gets it in metres; null: stop that. */
export function markBox(taken) {
  marking = taken && { taken, from: null, to: null };
  holder.dataset.marking = marking ? "yes" : "no";
}

/** Return the ids of the nodes in a rectangle of metres. */
export function nodesIn([ax, ay, bx, by]) {
  const inside = (value, a, b) => value >= Math.min(a, b) && value <= Math.max(a, b);
  return state.site.nodes.filter((node) => inside(node.x, ax, bx) && inside(node.y, ay, by)).map((node) => node.id);
}

/** Show where a bin is. */
export function pointAt(id) {
  chosen = state.binIndex.get(id) ?? -1;
}

function takeSite() {
  layout = layOut(state.site);
  nodeById = new Map(state.site.nodes.map((node) => [node.id, node]));
  view = new View(layout.bounds);
  resize();
}

function resize() {
  if (!view) return;
  const narrow = holder.clientWidth < TURN_BELOW_PX;
  view.turn(false);
  view.turn(narrow && view.aspect > TURN_FROM_ASPECT);
  holder.style.aspectRatio = String(Math.min(2.4, Math.max(0.62, view.aspect)));
  const [width, height] = [holder.clientWidth, holder.clientHeight];
  const ratio = Math.min(3, devicePixelRatio || 1);
  for (const canvas of [still, live]) {
    canvas.width = Math.round(width * ratio);
    canvas.height = Math.round(height * ratio);
    canvas.getContext("2d").setTransform(ratio, 0, 0, ratio, 0, 0);
  }
  view.resize(width, height);
  stillDirty = true;
}

function findMoves() {
  if (!layout) return;
  const cell = (where) => layout.cells[state.binIndex.get(binOf(where))];
  moves = [...state.tables.tasks.values()]
    .filter((task) => task.worker_kind === "robot" && ["assigned", "moving"].includes(task.status))
    .map((task) => ({ from: cell(task.from_place), to: cell(task.to_place) }))
    .filter((move) => move.from && move.to)
    .slice(0, MOVES_SHOWN_MAX);
}

// --- drawing ------------------------------------------------------------------------------------

function draw(at) {
  requestAnimationFrame(draw);
  if (!view) return;
  if (stillDirty) {
    stillDirty = false;
    paintStill(still.getContext("2d"), view, state.site, layout, state.bins, colours, fullest());
  }
  const context = live.getContext("2d");
  context.clearRect(0, 0, view.width, view.height);
  paintZones(context, view, [...state.tables.zones.values()], nodeById, colours);
  paintMoves(context, view, moves, colours, calm.matches ? 0 : (at / 45) % 12);
  if (chosen >= 0) paintChosen(context, view, layout.cells[chosen], colours);
  const robots = [...state.robots.values()].filter((robot) => robot.flags & FLAG.POSITIONED);
  for (const robot of robots) {
    glide(robot, at);
    paintRobot(context, view, robot, colours, robot.index === chosenRobot);
  }
  paintNames(context, view, robots, robotNames, colours);
  if (marking?.to) paintBox(context, marking.from, marking.to, colours);
}

/** Return what stands beside each robot, by index: its number where all serials differ in that alone. */
function shortNames(robots) {
  const parts = robots.map((robot) => /^(.*?)(\d+)$/.exec(robot.serial));
  const isShort = new Set(parts.map((found) => found?.[1])).size === 1
    && new Set(parts.map((found) => found?.[2])).size === robots.length && parts[0];
  return new Map(robots.map((robot, i) => [robot.index, isShort ? parts[i][2] : robot.serial]));
}

/** Move what is shown toward where the robot was last heard to be. */
function glide(robot, at) {
  const { start, target, shown } = robot;
  const part = calm.matches ? 1 : Math.min(1, (performance.now() - robot.targetAt) / GLIDE_MS);
  if (Math.hypot(target.x - start.x, target.y - start.y) > JUMP_M) {
    Object.assign(shown, target);
    robot.trail = [];
  } else {
    shown.x = start.x + (target.x - start.x) * part;
    shown.y = start.y + (target.y - start.y) * part;
    const turn = Math.atan2(Math.sin(target.heading - start.heading), Math.cos(target.heading - start.heading));
    shown.heading = start.heading + turn * part;
  }
  if (calm.matches || state.robots.size > TRAILS_FOR_ROBOTS_MAX) return;
  if (at - (robot.trailAt ?? 0) > TRAIL_EVERY_MS) {
    robot.trailAt = at;
    robot.trail.push({ x: shown.x, y: shown.y });
    if (robot.trail.length > TRAIL_MAX) robot.trail.shift();
  }
}

/** Return the most units in a bin of each kind, for bins without a known capacity. */
function fullest() {
  const most = new Map();
  state.site.bins.forEach((bin, index) => {
    if (bin.kind !== "dock" && bin.kind !== "pack") {
      most.set(bin.kind, Math.max(most.get(bin.kind) ?? 0, state.bins[index]?.units ?? 0));
    }
  });
  return most;
}

// --- pointing -----------------------------------------------------------------------------------

function listen() {
  const pointers = new Map();
  let moved = 0;
  live.addEventListener("pointerdown", (event) => {
    pointers.set(event.pointerId, [event.offsetX, event.offsetY]);
    moved = 0;
    if (marking) {
      marking.from = [event.offsetX, event.offsetY];
      live.setPointerCapture(event.pointerId);
    }
  });
  live.addEventListener("pointermove", (event) => {
    if (!view) return;
    const before = pointers.get(event.pointerId);
    const here = [event.offsetX, event.offsetY];
    if (marking) {
      if (before) marking.to = here;
      return;
    }
    if (before && (pointers.size === 2 || view.zoom > 1)) {
      moved += Math.hypot(here[0] - before[0], here[1] - before[1]);
      if (pointers.size === 2) pinch(pointers, event.pointerId, before, here);
      else view.moveBy(here[0] - before[0], here[1] - before[1]);
      seen();
    }
    if (before) pointers.set(event.pointerId, here);
    else if (event.pointerType === "mouse") hover(here);
  });
  for (const name of ["pointerup", "pointercancel", "pointerleave"]) {
    live.addEventListener(name, (event) => {
      pointers.delete(event.pointerId);
      if (name === "pointerup" && marking?.to) takeBox();
      if (name === "pointerleave" && event.pointerType === "mouse") hover(null);
    });
  }
  live.addEventListener("click", (event) => {
    if (moved > 6 || !view || marking) return;
    const found = find([event.offsetX, event.offsetY]);
    if (found.bin >= 0 && found.robot < 0) {
      chosen = found.bin;
      openBin(state.site.bins[found.bin].id);
    } else hover([event.offsetX, event.offsetY]);
  });
  live.addEventListener("wheel", (event) => {
    if (!view || !event.ctrlKey) return; // a plain wheel scrolls the page
    event.preventDefault();
    view.zoomBy(Math.exp(-event.deltaY / 200), event.offsetX, event.offsetY);
    seen();
  }, { passive: false });
  live.addEventListener("keydown", step);
  const zoom = (factor) => () => {
    if (!view) return;
    if (factor) view.zoomBy(factor);
    else view.reset();
    seen();
  };
  $("zoom-in").addEventListener("click", zoom(1.5));
  $("zoom-out").addEventListener("click", zoom(1 / 1.5));
  $("zoom-fit").addEventListener("click", zoom(0));
}

function takeBox() {
  const { taken, from, to } = marking;
  marking.from = marking.to = null;
  if (Math.hypot(to[0] - from[0], to[1] - from[1]) > NEAR_PX) taken([...view.metres(...from), ...view.metres(...to)]);
}

function pinch(pointers, id, before, here) {
  const other = [...pointers].find(([key]) => key !== id)[1];
  const factor = Math.hypot(here[0] - other[0], here[1] - other[1])
    / Math.max(1, Math.hypot(before[0] - other[0], before[1] - other[1]));
  view.zoomBy(factor, other[0], other[1]);
}

function seen() {
  stillDirty = true;
  holder.dataset.zoomed = view.zoom > 1.01 ? "yes" : "no";
}

/** Return what lies at a pixel: a robot, and the nearest bin. */
function find([px, py]) {
  let robot = -1;
  for (const { index, flags, shown } of state.robots.values()) {
    if (!(flags & FLAG.POSITIONED)) continue;
    const [x, y] = view.at(shown.x, shown.y);
    if (Math.hypot(px - x, py - y) < Math.max(9, view.scale * 0.5)) robot = index;
  }
  let bin = -1;
  let nearest = NEAR_PX;
  layout.cells.forEach((cell, index) => {
    const [x, y, w, h] = view.box(cell);
    const away = Math.hypot(Math.max(x - px, 0, px - x - w), Math.max(y - py, 0, py - y - h));
    if (away < nearest) {
      nearest = away;
      bin = index;
    }
  });
  return { robot, bin };
}

function hover(where) {
  const tip = $("tip");
  const found = where && layout ? find(where) : { robot: -1, bin: -1 };
  chosenRobot = found.robot;
  if (found.robot >= 0) showTip(where, ...aboutRobot(found.robot));
  else if (found.bin >= 0) {
    chosen = found.bin;
    showTip(where, ...aboutBin(state.site.bins[found.bin].id));
  } else tip.hidden = true;
}

function showTip([x, y], title, ...lines) {
  const tip = $("tip");
  tip.replaceChildren();
  const head = document.createElement("b");
  head.textContent = title;
  tip.append(head);
  for (const line of lines.filter(Boolean)) {
    const row = document.createElement("span");
    row.textContent = line;
    tip.append(row);
  }
  tip.hidden = false;
  const left = x + 16 + tip.offsetWidth > view.width ? x - tip.offsetWidth - 12 : x + 16;
  const top = Math.min(y + 14, view.height - tip.offsetHeight - 4);
  tip.style.left = `${Math.max(4, left)}px`;
  tip.style.top = `${Math.max(4, top)}px`;
}

function aboutBin(id) {
  const bin = binById(id);
  const share = fillShare(bin, bin, fullest());
  return [
    `${bin.id} · ${bin.kind}`,
    (bin.capacity ? `${count(bin.units)} of ${units(bin.capacity)}` : units(bin.units))
      + (isLow(bin, share) ? " · nearly empty" : ""),
    bin.slot,
    bin.reserved ? `${count(bin.reserved)} promised to tasks` : "",
    bin.inbound ? `${count(bin.inbound)} on their way` : "",
  ];
}

function aboutRobot(index) {
  const row = [...state.tables.robots.values()].find((robot) => robot.index === index);
  const mark = state.robots.get(index);
  const task = row && taskOf(row);
  return [
    row?.serial ?? "robot",
    mark.flags & FLAG.ONLINE ? (mark.flags & FLAG.DRIVING ? "driving" : "standing") : "silent",
    task && `${task.kind} to ${place(task.to_place)}`,
    row?.carries && `carries ${row.carries}`,
    Number.isNaN(mark.battery) ? "" : `battery ${Math.round(mark.battery)} %`,
    ...(row?.errors ?? []),
  ];
}

/** Go from bin to bin by the arrow keys; Enter opens one. */
function step(event) {
  const ways = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };
  if (!layout || !layout.cells.length) return;
  if (event.key === "Enter" && chosen >= 0) {
    event.preventDefault();
    openBin(state.site.bins[chosen].id);
    return;
  }
  const way = ways[event.key];
  if (!way) return;
  event.preventDefault();
  chosen = chosen < 0 ? 0 : neighbour(way);
  const cell = layout.cells[chosen];
  const lines = aboutBin(state.site.bins[chosen].id).filter(Boolean);
  say($("floor-says"), lines.join(", "));
  showTip(view.at(cell.cx, cell.cy), ...lines);
}

function neighbour([dx, dy]) {
  const at = (index) => view.at(layout.cells[index].cx, layout.cells[index].cy);
  const [x, y] = at(chosen);
  let best = chosen;
  let least = Infinity;
  layout.cells.forEach((_, index) => {
    const [cx, cy] = at(index);
    const along = (cx - x) * dx + (cy - y) * dy;
    const aside = Math.abs((cx - x) * dy) + Math.abs((cy - y) * dx);
    if (along > 1 && along + 3 * aside < least) {
      least = along + 3 * aside;
      best = index;
    }
  });
  return best;
}
