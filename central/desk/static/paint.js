// How things look on the floor: pure drawing, told everything.

import { FLAG } from "./socket.js";

const NAMES = ["floor", "lane", "line", "ink", "soft", "card", "bin-empty", "fill-0", "fill-1", "low",
  "pick", "reserve", "dock", "robot", "loaded", "faulty", "way", "accent"];
const LOW_SHARE = 0.15;
const NEARLY_NOTHING = 0.002;
const NAMES_PLACED_MAX = 60; // beyond that many robots each name stands below its robot
const NAME_PX = 11;

/** Return the page's colours as the canvas can use them. */
export function readColours() {
  const probe = document.createElement("span");
  document.body.append(probe);
  const found = {};
  for (const name of NAMES) {
    probe.style.color = `var(--${name})`;
    found[name] = getComputedStyle(probe).color;
  }
  probe.remove();
  found.ramp = ramp(found["fill-0"], found["fill-1"]);
  return found;
}

function ramp(from, to) {
  const parse = (colour) => colour.match(/[\d.]+/g).slice(0, 3).map(Number);
  const [a, b] = [parse(from), parse(to)];
  return Array.from({ length: 33 }, (_, i) => {
    const mix = a.map((value, k) => Math.round(value + ((b[k] - value) * i) / 32));
    return `rgb(${mix.join(" ")})`;
  });
}

/** Return how full a bin is, 0 to 1; without a known capacity against the fullest of its kind. */
export function fillShare(bin, held, fullest) {
  const most = bin.capacity || fullest.get(bin.kind) || 0;
  return most > 0 ? Math.min(1, Math.max(0, held.units / most)) : 0;
}

export function isLow(bin, share) {
  return bin.kind === "pick" && share < LOW_SHARE;
}

/** Draw lanes, zones and bins; the zones' names lie above the lanes that run there. */
export function paintStill(context, view, site, layout, bins, colours, fullest) {
  context.clearRect(0, 0, view.width, view.height);
  paintEdgeZones(context, view, layout.zones, colours);
  paintLanes(context, view, site, colours);
  const labels = view.scale > 62;
  site.bins.forEach((bin, index) => {
    const [x, y, w, h] = view.box(layout.cells[index]);
    if (x > view.width || y > view.height || x + w < 0 || y + h < 0) return;
    const held = bins[index] ?? { units: 0, reserved: 0, inbound: 0 };
    paintBin(context, [x, y, w, h], bin, held, fillShare(bin, held, fullest), colours);
    if (labels) paintBinLabel(context, [x, y, w, h], bin, held, colours);
  });
  paintZoneNames(context, view, layout.zones, colours);
}

function paintEdgeZones(context, view, zones, colours) {
  for (const zone of zones) {
    const [x, y, w, h] = zoneBox(view, zone);
    context.fillStyle = colours.card;
    context.strokeStyle = colours.line;
    context.lineWidth = 1;
    context.beginPath();
    context.roundRect(x, y, w, h, Math.min(10, view.scale * 0.4));
    context.fill();
    context.stroke();
  }
}

const zoneBox = (view, zone) => view.box({
  x: zone.left, y: zone.low, w: zone.right - zone.left, h: zone.high - zone.low,
});

function paintZoneNames(context, view, zones, colours) {
  const size = Math.round(Math.min(15, Math.max(10, view.scale * 0.6)));
  context.font = `600 ${size}px system-ui, sans-serif`;
  context.textAlign = "left";
  context.textBaseline = "bottom";
  for (const zone of zones) {
    const [x, y] = zoneBox(view, zone);
    const name = `Zone ${zone.id}`;
    context.fillStyle = colours.floor;
    context.beginPath();
    context.roundRect(x - 1, y - size - 5, context.measureText(name).width + 8, size + 4, 4);
    context.fill();
    context.fillStyle = colours.ink;
    context.fillText(name, x + 3, y - 2);
  }
}

/** Draw the nodes of stop zones: crossed out, so that it is seen without colours too. */
export function paintZones(context, view, zones, nodes, colours) {
  const r = Math.max(4, view.scale * 0.42);
  context.lineWidth = Math.max(1.5, view.scale * 0.08);
  for (const zone of zones) {
    for (const id of zone.nodes) {
      const node = nodes.get(id);
      if (!node) continue;
      const [x, y] = view.at(node.x, node.y);
      context.globalAlpha = 0.28;
      context.fillStyle = colours.faulty;
      context.fillRect(x - r, y - r, 2 * r, 2 * r);
      context.globalAlpha = 1;
      context.strokeStyle = colours.faulty;
      context.beginPath();
      context.moveTo(x - r * 0.5, y - r * 0.5);
      context.lineTo(x + r * 0.5, y + r * 0.5);
      context.moveTo(x + r * 0.5, y - r * 0.5);
      context.lineTo(x - r * 0.5, y + r * 0.5);
      context.stroke();
    }
  }
}

/** Draw the rectangle that somebody is marking. */
export function paintBox(context, [ax, ay], [bx, by], colours) {
  context.strokeStyle = colours.faulty;
  context.lineWidth = 2;
  context.setLineDash([6, 4]);
  context.strokeRect(Math.min(ax, bx), Math.min(ay, by), Math.abs(bx - ax), Math.abs(by - ay));
  context.setLineDash([]);
}

function paintLanes(context, view, site, colours) {
  const nodes = new Map(site.nodes.map((node) => [node.id, node]));
  context.lineCap = "round";
  context.strokeStyle = colours.lane;
  context.lineWidth = Math.max(1.5, view.scale * 0.16);
  context.beginPath();
  for (const [from, to] of site.lanes) {
    const [a, b] = [nodes.get(from), nodes.get(to)];
    if (!a || !b) continue;
    context.moveTo(...view.at(a.x, a.y));
    context.lineTo(...view.at(b.x, b.y));
  }
  context.stroke();
  for (const node of site.nodes) {
    const [x, y] = view.at(node.x, node.y);
    const isCharger = node.kind === "charger";
    context.fillStyle = isCharger ? colours.way : colours.lane;
    context.beginPath();
    context.arc(x, y, Math.max(1.2, view.scale * (isCharger ? 0.2 : 0.15)), 0, Math.PI * 2);
    context.fill();
  }
}

function paintBin(context, [x, y, w, h], bin, held, share, colours) {
  const low = isLow(bin, share);
  const edge = { pick: colours.pick, reserve: colours.reserve }[bin.kind] ?? colours.dock;
  const thick = Math.max(1, Math.min(2.5, w * 0.09));
  context.fillStyle = low ? colours.low
    : share < NEARLY_NOTHING ? colours["bin-empty"] : colours.ramp[Math.round(share * 32)];
  context.strokeStyle = low ? colours.low : edge;
  context.globalAlpha = 1;
  context.lineWidth = thick;
  context.beginPath();
  context.roundRect(x + thick / 2, y + thick / 2, Math.max(1, w - thick), Math.max(1, h - thick),
    Math.min(3, w * 0.18));
  context.fill();
  context.stroke();
  if (low && share < NEARLY_NOTHING) { // empty: only its edge, so that "gone" and "nearly" differ
    context.fillStyle = colours["bin-empty"];
    context.fillRect(x + 2 * thick, y + 2 * thick, Math.max(0, w - 4 * thick), Math.max(0, h - 4 * thick));
  }
  if (held.inbound > 0) {
    const r = Math.max(2, Math.min(4, w * 0.16));
    context.fillStyle = colours.way;
    context.beginPath();
    context.arc(x + w - r * 0.6, y + r * 0.6, r, 0, Math.PI * 2);
    context.fill();
  }
}

function paintBinLabel(context, [x, y, w, h], bin, held, colours) {
  const size = Math.round(Math.min(11, h * 0.2, w * 0.17));
  if (size < 6) return;
  context.font = `600 ${size}px system-ui, sans-serif`;
  context.textAlign = "center";
  context.textBaseline = "middle";
  halo(context, bin.id, x + w / 2, y + h / 2 - size * 0.6, colours);
  halo(context, String(held.units), x + w / 2, y + h / 2 + size * 0.7, colours);
}

/** Draw the moves under way as arcs from bin to bin; `phase` lets their dashes flow. */
export function paintMoves(context, view, moves, colours, phase) {
  context.strokeStyle = colours.way;
  context.fillStyle = colours.way;
  context.lineWidth = Math.max(1.5, Math.min(2.5, view.scale * 0.1));
  for (const { from, to } of moves) {
    const [ax, ay] = view.at(from.cx, from.cy);
    const [bx, by] = view.at(to.cx, to.cy);
    const bend = Math.min(0.22, 30 / (Math.hypot(bx - ax, by - ay) + 1));
    const mx = (ax + bx) / 2 + (by - ay) * bend;
    const my = (ay + by) / 2 - (bx - ax) * bend;
    context.globalAlpha = 0.85;
    context.setLineDash([6, 6]);
    context.lineDashOffset = -phase;
    context.beginPath();
    context.moveTo(ax, ay);
    context.quadraticCurveTo(mx, my, bx, by);
    context.stroke();
    context.setLineDash([]);
    context.beginPath();
    context.arc(bx, by, 3.2, 0, Math.PI * 2);
    context.fill();
  }
  context.globalAlpha = 1;
}

/** Draw one robot where it is shown. */
export function paintRobot(context, view, robot, colours, isChosen) {
  const [x, y] = view.at(robot.shown.x, robot.shown.y);
  const radius = robotRadius(view);
  const online = robot.flags & FLAG.ONLINE;
  paintTrail(context, view, robot, colours);
  const body = !online ? colours.soft
    : robot.flags & FLAG.FAULTY ? colours.faulty
      : robot.flags & FLAG.LOADED ? colours.loaded : colours.robot;
  context.lineWidth = 2;
  context.strokeStyle = online ? colours.card : colours.soft;
  context.fillStyle = online ? body : colours.floor;
  context.setLineDash(online ? [] : [3, 3]);
  context.beginPath();
  context.arc(x, y, radius, 0, Math.PI * 2);
  context.fill();
  context.stroke();
  context.setLineDash([]);
  paintHeading(context, view, robot, [x, y], radius, online ? colours.card : colours.soft);
  if (isChosen) {
    context.strokeStyle = colours.accent;
    context.lineWidth = 2.5;
    context.beginPath();
    context.arc(x, y, radius + 4, 0, Math.PI * 2);
    context.stroke();
  }
}

const robotRadius = (view) => Math.max(6.5, view.scale * 0.45);

/** Draw the robots' names where they cover neither each other nor a robot, as far as that goes. */
export function paintNames(context, view, robots, names, colours) {
  context.font = `600 ${NAME_PX}px system-ui, sans-serif`;
  context.textAlign = "left";
  context.textBaseline = "top";
  const radius = robotRadius(view);
  const bodies = robots.map((robot) => {
    const [x, y] = view.at(robot.shown.x, robot.shown.y);
    return [x - radius, y - radius, 2 * radius, 2 * radius];
  });
  const taken = [];
  robots.forEach((robot, index) => {
    const name = names.get(robot.index) ?? "";
    const boxes = besides(bodies[index], context.measureText(name).width);
    const isFree = (box) => !taken.some((other) => overlap(box, other))
      && !bodies.some((body, of) => of !== index && overlap(box, body));
    const kept = robot.side ?? 0; // a name jumps only where it must
    if (robots.length > NAMES_PLACED_MAX) robot.side = 0;
    else if (!isFree(boxes[kept])) robot.side = Math.max(0, boxes.findIndex(isFree));
    const box = boxes[robot.side ?? 0];
    taken.push(box);
    halo(context, name, box[0], box[1], colours);
  });
}

/** Return where a name may stand beside a robot: below, above, right, left, a line further off. */
function besides([x, y, w, h], width) {
  const middle = x + (w - width) / 2;
  const level = y + (h - NAME_PX) / 2;
  const [below, above, line] = [y + h + 2, y - NAME_PX - 3, NAME_PX + 2];
  return [[middle, below], [middle, above], [x + w + 4, level], [x - width - 4, level],
    [middle, below + line], [middle, above - line]]
    .map(([left, top]) => [left, top, width, NAME_PX]);
}

function overlap([ax, ay, aw, ah], [bx, by, bw, bh]) {
  return ax < bx + bw && bx < ax + aw && ay < by + bh && by < ay + ah;
}

function paintHeading(context, view, robot, [x, y], radius, colour) {
  const { x: fx, y: fy, heading } = robot.shown;
  const [ax, ay] = view.at(fx + Math.cos(heading), fy + Math.sin(heading));
  const angle = Math.atan2(ay - y, ax - x);
  const tip = radius * 0.68;
  context.fillStyle = colour;
  context.beginPath();
  context.moveTo(x + Math.cos(angle) * tip, y + Math.sin(angle) * tip);
  context.lineTo(x + Math.cos(angle + 2.5) * tip, y + Math.sin(angle + 2.5) * tip);
  context.lineTo(x - Math.cos(angle) * tip * 0.25, y - Math.sin(angle) * tip * 0.25);
  context.lineTo(x + Math.cos(angle - 2.5) * tip, y + Math.sin(angle - 2.5) * tip);
  context.fill();
}

function paintTrail(context, view, robot, colours) {
  if (robot.trail.length < 2) return;
  context.lineCap = "round";
  context.strokeStyle = robot.flags & FLAG.LOADED ? colours.loaded : colours.robot;
  context.lineWidth = Math.max(1.5, view.scale * 0.14);
  for (let i = 1; i < robot.trail.length; i++) {
    context.globalAlpha = (0.45 * i) / robot.trail.length;
    context.beginPath();
    context.moveTo(...view.at(robot.trail[i - 1].x, robot.trail[i - 1].y));
    context.lineTo(...view.at(robot.trail[i].x, robot.trail[i].y));
    context.stroke();
  }
  context.globalAlpha = 1;
}

/** Draw a frame around the bin that is chosen. */
export function paintChosen(context, view, cell, colours) {
  const [x, y, w, h] = view.box(cell);
  context.strokeStyle = colours.accent;
  context.lineWidth = 3;
  context.beginPath();
  context.roundRect(x - 3, y - 3, w + 6, h + 6, 5);
  context.stroke();
}

function halo(context, text, x, y, colours) {
  context.lineJoin = "round";
  context.lineWidth = 3;
  context.strokeStyle = colours.floor;
  context.strokeText(text, x, y);
  context.fillStyle = colours.ink;
  context.fillText(text, x, y);
}
