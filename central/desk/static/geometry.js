// From metres to pixels: where bins lie as rectangles, what part of the floor is seen.

const MARGIN_M = 1.1;
const LABEL_M = 0.7; // above the topmost rack stands its zone's name
const CELL_M_MAX = 1.4;
const NEAR_M = 0.05;

/** Return the floor's extent and one rectangle per bin: levels of a rack lie side by side. */
export function layOut(site) {
  const spots = [...site.nodes, ...site.bins];
  const xs = spots.map((s) => s.x);
  const ys = spots.map((s) => s.y);
  const bounds = spots.length
    ? { left: Math.min(...xs) - MARGIN_M, right: Math.max(...xs) + MARGIN_M,
        low: Math.min(...ys) - MARGIN_M, high: Math.max(...ys) + MARGIN_M + LABEL_M }
    : { left: 0, right: 10, low: 0, high: 6 };
  const width = Math.min(CELL_M_MAX, gap(site.bins, "x", "y")) * 0.9;
  const height = Math.min(CELL_M_MAX, gap(site.bins, "y", "x")) * 0.84;
  const stacks = new Map();
  site.bins.forEach((bin, index) => {
    const key = `${bin.x.toFixed(2)}/${bin.y.toFixed(2)}`;
    stacks.set(key, [...(stacks.get(key) ?? []), { bin, index }]);
  });
  const cells = new Array(site.bins.length);
  for (const stack of stacks.values()) {
    stack.sort((a, b) => a.bin.z - b.bin.z);
    const part = width / stack.length;
    stack.forEach(({ bin, index }, level) => {
      cells[index] = {
        x: bin.x - width / 2 + part * level, y: bin.y - height / 2, w: part * 0.94, h: height,
        cx: bin.x - width / 2 + part * (level + 0.47), cy: bin.y,
      };
    });
  }
  return { bounds, cells, zones: zones(site, width, height) };
}

/** Return the smallest distance along `axis` between bins that share the other coordinate. */
function gap(bins, axis, other) {
  const lines = new Map();
  for (const bin of bins) {
    const key = bin[other].toFixed(2);
    lines.set(key, [...(lines.get(key) ?? []), bin[axis]]);
  }
  let least = CELL_M_MAX;
  for (const values of lines.values()) {
    values.sort((a, b) => a - b);
    for (let i = 1; i < values.length; i++) {
      const step = values[i] - values[i - 1];
      if (step > NEAR_M) least = Math.min(least, step);
    }
  }
  return least;
}

function zones(site, width, height) {
  const found = new Map();
  for (const bin of site.bins) {
    if (bin.kind !== "reserve" && bin.kind !== "pick") continue;
    const zone = found.get(bin.edge) ?? { id: bin.edge, left: 1e9, right: -1e9, low: 1e9, high: -1e9 };
    zone.left = Math.min(zone.left, bin.x - width / 2 - 0.35);
    zone.right = Math.max(zone.right, bin.x + width / 2 + 0.35);
    zone.low = Math.min(zone.low, bin.y - height / 2 - 0.35);
    zone.high = Math.max(zone.high, bin.y + height / 2 + 0.35);
    found.set(bin.edge, zone);
  }
  return [...found.values()];
}

/** What part of the floor is seen, and how large. On a narrow screen a wide floor is turned upright. */
export class View {
  constructor(bounds) {
    this.bounds = bounds;
    this.zoom = 1;
    this.turned = false;
    this.resize(300, 200);
  }

  get aspect() {
    const wide = this.bounds.right - this.bounds.left;
    const high = this.bounds.high - this.bounds.low;
    return this.turned ? high / wide : wide / high;
  }

  resize(width, height) {
    this.width = width;
    this.height = height;
    const spanX = this.bounds.right - this.bounds.left;
    const spanY = this.bounds.high - this.bounds.low;
    const [across, down] = this.turned ? [spanY, spanX] : [spanX, spanY];
    this.fit = Math.min(width / across, height / down);
    this.center ??= [across / 2, down / 2];
    this.across = across;
    this.down = down;
    this.clamp();
  }

  turn(turned) {
    if (this.turned === turned) return;
    this.turned = turned;
    this.reset();
  }

  reset() {
    this.zoom = 1;
    this.center = null;
    this.resize(this.width, this.height);
  }

  get scale() { return this.fit * this.zoom; }

  /** Return [pixel x, pixel y] of a point of the floor. */
  at(x, y) {
    const u = this.turned ? y - this.bounds.low : x - this.bounds.left;
    const v = this.turned ? x - this.bounds.left : this.bounds.high - y;
    return [
      this.width / 2 + (u - this.center[0]) * this.scale,
      this.height / 2 + (v - this.center[1]) * this.scale,
    ];
  }

  /** Return [x, y] in metres of a pixel. */
  metres(px, py) {
    const u = this.center[0] + (px - this.width / 2) / this.scale;
    const v = this.center[1] + (py - this.height / 2) / this.scale;
    return this.turned ? [this.bounds.left + v, this.bounds.low + u] : [this.bounds.left + u, this.bounds.high - v];
  }

  /** Return [left, top, width, height] in pixels of a rectangle of the floor. */
  box({ x, y, w, h }) {
    const [ax, ay] = this.at(x, y);
    const [bx, by] = this.at(x + w, y + h);
    return [Math.min(ax, bx), Math.min(ay, by), Math.abs(bx - ax), Math.abs(by - ay)];
  }

  /** Zoom by `factor`, so that the point under (px, py) stays there. */
  zoomBy(factor, px = this.width / 2, py = this.height / 2) {
    const before = this.scale;
    this.zoom = Math.min(10, Math.max(1, this.zoom * factor));
    const change = 1 / before - 1 / this.scale;
    this.center[0] += (px - this.width / 2) * change;
    this.center[1] += (py - this.height / 2) * change;
    this.clamp();
  }

  moveBy(dx, dy) {
    this.center[0] -= dx / this.scale;
    this.center[1] -= dy / this.scale;
    this.clamp();
  }

  clamp() {
    const halfU = this.width / 2 / this.scale;
    const halfV = this.height / 2 / this.scale;
    const keep = (value, half, whole) =>
      half * 2 >= whole ? whole / 2 : Math.min(whole - half, Math.max(half, value));
    this.center = [keep(this.center[0], halfU, this.across), keep(this.center[1], halfV, this.down)];
  }
}
