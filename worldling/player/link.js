// The websocket: opens it, reconnects when it drops, and parses frame messages.
// The table of all messages is in worldling/serve/messages.py.

export const HEADER_BYTES = 32, VERSION = 2, PEEK = 1, LOADING = 2, DRIFT = 4, OVER = 8;
const MIN_WAIT_MS = 400, MAX_WAIT_MS = 4000;

export function unpack(buffer) {
  const view = new DataView(buffer);
  if (view.getUint8(0) !== VERSION) throw new Error("The page is older than the server. Reload it.");
  const dreamEnd = HEADER_BYTES + view.getUint32(20, true), realSize = view.getUint32(24, true);
  const jpeg = (from, to) => new Blob([new Uint8Array(buffer, from, to - from)], { type: "image/jpeg" });
  return {
    flags: view.getUint8(1), numBranches: view.getUint16(2, true), seq: view.getUint32(4, true),
    index: view.getUint32(8, true), inputId: view.getUint32(12, true), mse: view.getFloat32(16, true),
    score: view.getFloat32(28, true),
    dream: jpeg(HEADER_BYTES, dreamEnd), real: realSize ? jpeg(dreamEnd, dreamEnd + realSize) : null,
  };
}

export class Link {
  // world: its id; on: {frame(frame), message(object), up(), down(seconds until the next try), refused()}
  constructor(world, on) {
    Object.assign(this, { world, on, wait: MIN_WAIT_MS, closed: false });
    this.open();
  }

  open() {
    const address = new URL("ws", location.href);  // relative to the page, which a proxy may serve under a path
    address.protocol = address.protocol.replace("http", "ws");
    address.searchParams.set("world", this.world);
    const socket = this.socket = new WebSocket(address);
    let opened = false;
    socket.binaryType = "arraybuffer";
    socket.onmessage = ({ data }) => {
      if (this.closed) return;
      if (typeof data !== "string") return this.on.frame(unpack(data));
      const message = JSON.parse(data);
      if (message.type === "status") this.wait = MIN_WAIT_MS;  // a session has opened, not only a socket
      this.on.message(message);
    };
    socket.onopen = () => { opened = true; if (!this.closed) this.on.up(); };
    socket.onclose = () => {
      if (this.closed) return;
      this.on.down(this.wait / 1000);
      // If the server is up all the same, it refused us.
      if (!opened) fetch(`api/world${address.search}`).then(({ ok }) => ok && this.on.refused(), () => {});
      this.timer = setTimeout(() => this.open(), this.wait);
      this.wait = Math.min(MAX_WAIT_MS, this.wait * 1.6);
    };
  }

  // End the session.
  close() {
    this.closed = true;
    clearTimeout(this.timer);
    this.socket.close();
  }

  send(message) {
    if (this.socket.readyState === WebSocket.OPEN) this.socket.send(JSON.stringify(message));
  }
}
