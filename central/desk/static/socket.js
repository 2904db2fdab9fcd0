// The one WebSocket: frames whose first byte says the kind (docs/desk.md), reconnecting by itself.

export const FRAME = { SITE: 1, ROBOTS: 2, BINS: 3, ROWS: 4, STATUS: 5 };
export const FLAG = { ONLINE: 1, DRIVING: 2, LOADED: 4, FAULTY: 8, PAUSED: 16, POSITIONED: 32 };

const RETRY_MS_MIN = 500;
const RETRY_MS_MAX = 5000;
const SILENT_MS = 8000; // the desk speaks once a second: so long a silence is a dead connection
const text = new TextDecoder();

/** Return what is in a frame. */
export function parseFrame(buffer) {
  const view = new DataView(buffer);
  const kind = view.getUint8(0);
  if (kind === FRAME.ROBOTS) return { kind, ...parseRobots(buffer, view) };
  if (kind === FRAME.BINS) return { kind, ...parseBins(buffer, view) };
  return { kind, value: JSON.parse(text.decode(new Uint8Array(buffer, 1))) };
}

function parseRobots(buffer, view) {
  const n = view.getUint32(16, true);
  let at = 24;
  const column = (Type) => {
    const values = new Type(buffer, at, n);
    at += 4 * n;
    return values;
  };
  return {
    nowMs: view.getFloat64(8, true),
    n,
    index: column(Int32Array), flags: column(Int32Array), ageMs: column(Int32Array),
    x: column(Float32Array), y: column(Float32Array), heading: column(Float32Array),
    battery: column(Float32Array),
  };
}

function parseBins(buffer, view) {
  const n = view.getUint32(4, true);
  const column = (i) => new Int32Array(buffer, 8 + 4 * n * i, n);
  return {
    full: view.getUint16(2, true) === 1,
    n, index: column(0), units: column(1), reserved: column(2), inbound: column(3),
  };
}

/** Keep a connection open; `onFrame(frame)` for each frame, `onLink(isOpen)` when it opens or goes. */
export function connect(onFrame, onLink) {
  let retryMs = RETRY_MS_MIN;
  let socket = null;
  let heardAt = 0;

  const open = () => {
    const scheme = location.protocol === "https:" ? "wss" : "ws";
    socket = new WebSocket(`${scheme}://${location.host}/ws`);
    socket.binaryType = "arraybuffer";
    heardAt = performance.now();
    socket.onopen = () => {
      retryMs = RETRY_MS_MIN;
      onLink(true);
    };
    socket.onmessage = (message) => {
      heardAt = performance.now();
      onFrame(parseFrame(message.data));
    };
    socket.onclose = () => {
      onLink(false);
      setTimeout(open, retryMs * (0.75 + Math.random() / 2));
      retryMs = Math.min(retryMs * 2, RETRY_MS_MAX);
    };
  };
  setInterval(() => {
    if (socket.readyState <= WebSocket.OPEN && performance.now() - heardAt > SILENT_MS) socket.close();
  }, 1000);
  open();
}
