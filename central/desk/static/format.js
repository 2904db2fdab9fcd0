// Numbers, times and places as people read them.

const whole = new Intl.NumberFormat("en", { maximumFractionDigits: 0 });
const coins = new Intl.NumberFormat("en", { minimumFractionDigits: 2, maximumFractionDigits: 2 });
const hours = new Intl.DateTimeFormat("en", {
  hour: "2-digit", minute: "2-digit", second: "2-digit", hourCycle: "h23",
});

export const count = (value) => whole.format(value);
export const money = (cents) => coins.format(cents / 100);
export const units = (value) => `${count(value)} ${value === 1 ? "unit" : "units"}`;
export const times = (value, what) => `${count(value)} ${what}${value === 1 ? "" : "s"}`;
export const bins = (value) => `${count(value)} ${value === 1 ? "bin" : "bins"}`;
export const clock = (ms) => hours.format(new Date(ms));

/** Return a span of time: "40 s", "12 min", "3.5 h", "4 d". */
export function span(ms) {
  const s = Math.max(0, Math.round(Math.abs(ms) / 1000));
  if (s < 90) return `${s} s`;
  if (s < 90 * 60) return `${Math.round(s / 60)} min`;
  if (s < 36 * 3600) return `${(s / 3600).toFixed(1)} h`;
  return `${Math.round(s / 86400)} d`;
}

export const ago = (ms, now) => (ms > 0 ? `${span(now - ms)} ago` : "");

/** Return the bin at a place, or "" where it is no bin. */
export const binOf = (place) => (place.startsWith("bin:") ? place.slice(4) : "");

/** Return a place: a bin by its id, everything else with its kind. */
export function place(text) {
  const bin = binOf(text);
  if (bin) return bin;
  const cut = text.indexOf(":");
  return cut < 0 ? text : `${text.slice(0, cut)} ${text.slice(cut + 1)}`.trim();
}

export const MOODS = {
  open: "wait", assigned: "busy", moving: "busy", done: "good", failed: "bad", cancelled: "bad",
  waiting: "wait", approved: "busy", rejected: "bad", expired: "bad",
  accepted: "wait", allocated: "busy", picked: "busy", filled: "good", refused: "bad",
};
