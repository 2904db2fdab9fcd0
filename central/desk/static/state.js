// What the page knows, as the frames told it. Whoever draws asks here, and is told what changed.

import { FRAME } from "./socket.js";

const listeners = new Map();
const changed = new Set();

export const state = {
  site: null, // {site_id, nodes, lanes, bins}
  binIndex: new Map(), // bin id -> index
  bins: [], // by index: {units, reserved, inbound}
  robots: new Map(), // by index: how the map draws it
  status: null,
  tables: { figures: new Map(), proposals: new Map(), tasks: new Map(), orders: new Map(),
    events: new Map(), robots: new Map(), rules: new Map(), zones: new Map() },
  open: false, // is the connection open
  heardAt: 0, // performance.now() of the last frame
  serverAheadMs: 0,
  books: false, // did the books' tables arrive
};

/** Return the desk's time, whatever the browser's clock says. */
export const now = () => Date.now() + state.serverAheadMs;

/** Call `call` before the next picture after one of these `topics` changed. */
export function on(topics, call) {
  for (const topic of topics) listeners.set(topic, [...(listeners.get(topic) ?? []), call]);
}

/** Say that a topic changed. */
export function touch(topic) {
  if (changed.size === 0) requestAnimationFrame(tell);
  changed.add(topic);
}

function tell() {
  const calls = new Set([...changed].flatMap((topic) => listeners.get(topic) ?? []));
  changed.clear();
  for (const call of calls) call();
}

/** Take one frame from the desk. */
export function take(frame) {
  state.heardAt = performance.now();
  if (frame.kind === FRAME.ROBOTS) takeRobots(frame);
  else if (frame.kind === FRAME.BINS) takeBins(frame);
  else if (frame.kind === FRAME.ROWS) takeRows(frame.value);
  else if (frame.kind === FRAME.SITE) takeSite(frame.value);
  else if (frame.kind === FRAME.STATUS) {
    state.status = frame.value;
    touch("status");
  }
}

function takeSite(site) {
  state.site = site;
  state.binIndex = new Map(site.bins.map((bin, index) => [bin.id, index]));
  touch("site");
}

function takeRobots(frame) {
  state.serverAheadMs = frame.nowMs - Date.now();
  for (let i = 0; i < frame.n; i++) {
    const index = frame.index[i];
    const before = state.robots.get(index);
    const robot = before ?? { index, trail: [] };
    robot.flags = frame.flags[i];
    robot.ageMs = frame.ageMs[i];
    robot.battery = frame.battery[i];
    robot.target = { x: frame.x[i], y: frame.y[i], heading: frame.heading[i] };
    robot.targetAt = performance.now();
    robot.shown ??= { ...robot.target };
    robot.start = { ...robot.shown };
    state.robots.set(index, robot);
  }
  touch("marks");
}

function takeBins(frame) {
  if (frame.full) state.bins = [];
  for (let i = 0; i < frame.n; i++) {
    state.bins[frame.index[i]] = {
      units: frame.units[i], reserved: frame.reserved[i], inbound: frame.inbound[i],
    };
  }
  touch("bins");
}

function takeRows({ table, full, put, gone }) {
  const rows = state.tables[table];
  if (!rows) return; // a newer desk has a table that this page does not know
  if (full) rows.clear();
  for (const id of gone) rows.delete(id);
  for (const [id, row] of Object.entries(put)) rows.set(id, row);
  if (table === "figures" && rows.size) state.books = true;
  touch(table);
}

/** Return the open task that a robot is on: by the books, else by what the robot says. */
export function taskOf(robot) {
  for (const task of state.tables.tasks.values()) {
    if (task.worker_kind === "robot" && (task.status === "moving" || task.status === "assigned")
      && (task.worker_id === robot.robot_id || task.worker_id === robot.serial)) return task;
  }
  return state.tables.tasks.get(robot.task_id) ?? null;
}

/** Return what is known of a bin, by id. */
export function binById(id) {
  const index = state.binIndex.get(id);
  if (index === undefined) return null;
  return { index, ...state.site.bins[index], ...(state.bins[index] ?? { units: 0, reserved: 0, inbound: 0 }) };
}
