// The last minute: a timeline of thumbnails to go back in, the branches that were left, and the PSNR curve between
// dream and real. All have the newest frame at the right edge and `historyFrames` to its left.

const THUMB_PX = 64, MAX_LEFT = 20;
const DB_RANGE = [10, 50];
const style = getComputedStyle(document.documentElement);
const colour = (name) => style.getPropertyValue(name).trim();

export const psnr = (mse) => Math.min(99, 10 * Math.log10(255 ** 2 / Math.max(mse, 1e-9)));

// Set the canvas to the screen's resolution and return its context, width and height in CSS pixels.
function prepare(canvas) {
  const { width, height } = canvas.getBoundingClientRect(), ratio = window.devicePixelRatio || 1;
  const [w, h] = [Math.round(width * ratio), Math.round(height * ratio)];
  if (canvas.width !== w || canvas.height !== h) Object.assign(canvas, { width: w, height: h });
  const context = canvas.getContext("2d");
  context.setTransform(ratio, 0, 0, ratio, 0, 0);
  context.clearRect(0, 0, width, height);
  return { context, width, height };
}

export class Timeline {
  // on: {peek(index), branch(index), cancel()}
  constructor(canvas, historyFrames, fps, on) {
    Object.assign(this, { canvas, historyFrames, fps, on });
    this.thumbs = new Map();  // second since the start -> {index, picture}
    this.oldest = this.newest = 0;
    this.branches = [];
    this.left = [];             // [{newest, thumbs}]: thumbnails of branches that were left, the latest first
    this.peekIndex = null;      // the stored frame on show, or null
    this.listeners = new AbortController();
    this.addListeners();
  }

  close() { this.listeners.abort(); }

  clear() {
    this.thumbs.clear();
    this.left = [];
    this.oldest = this.newest = 0;
    this.peekIndex = null;
  }

  // Add a drawn frame; the first one of each second is kept as a thumbnail.
  add(index, picture) {
    if (index < this.newest) this.leaveAfter(index);
    this.newest = index;
    const second = Math.floor(index / this.fps);
    if (this.thumbs.has(second)) return;
    const small = Object.assign(document.createElement("canvas"), { width: THUMB_PX, height: THUMB_PX });
    small.getContext("2d").drawImage(picture, 0, 0, THUMB_PX, THUMB_PX);
    this.thumbs.set(second, { index, picture: small });
    for (const [old, thumb] of this.thumbs) if (thumb.index < this.newest - this.historyFrames) this.thumbs.delete(old);
  }

  // Put the thumbnails after frame `index` away, for when their branch is returned to.
  leaveAfter(index) {
    const thumbs = [...this.thumbs].filter(([, thumb]) => thumb.index > index);
    for (const [second] of thumbs) this.thumbs.delete(second);
    this.left = [{ newest: this.newest, thumbs }, ...this.left].slice(0, MAX_LEFT);
  }

  // Show a branch that was left again; it parts from this one after frame `at` and reaches to `newest`.
  returnTo({ at, newest }) {
    const stored = this.left.find((one) => one.newest === newest);
    this.left = this.left.filter((one) => one !== stored);
    this.leaveAfter(at);
    for (const [second, thumb] of stored?.thumbs ?? []) this.thumbs.set(second, thumb);
    this.newest = newest;
  }

  // Where a frame is in the strip, 0 (left) to 1.
  x(index) { return 1 - (this.newest - index) / this.historyFrames; }

  draw() {
    const { context, width, height } = prepare(this.canvas);
    if (!width) return;  // not shown
    const x = (index) => width * this.x(index);
    const seconds = Math.max(1, Math.ceil((height * this.historyFrames) / (width * this.fps)));
    const slot = (seconds * this.fps * width) / this.historyFrames;
    for (const [second, { picture }] of this.thumbs) {
      if (second % seconds) continue;  // they would overlap
      const left = x(second * this.fps), shown = Math.min(slot - 1, width - left);
      if (shown <= 0) continue;
      const part = Math.min(1, shown / height);
      context.drawImage(picture, 0, 0, THUMB_PX * part, THUMB_PX, left, 0, height * part, height);
    }
    if (this.newest < this.historyFrames * 0.8) {
      context.font = `11px ${style.fontFamily}`;
      context.textBaseline = "middle";
      context.fillStyle = colour("--muted");
      context.fillText(`${Math.round(this.historyFrames / this.fps)} s ago`, 10, height / 2);
    }
    context.fillStyle = colour("--accent");
    for (const index of this.branches) {
      context.fillRect(x(index) - 1, 0, 2, height);
      context.beginPath();
      context.arc(x(index), 5, 4, 0, 7);
      context.fill();
    }
    if (this.peekIndex !== null) {
      context.fillStyle = "#0d1014b8";
      context.fillRect(x(this.peekIndex), 0, width, height);
      context.fillStyle = colour("--text");
      context.fillRect(x(this.peekIndex) - 1, 0, 2, height);
    }
    this.canvas.setAttribute("aria-valuemin", this.oldest);
    this.canvas.setAttribute("aria-valuemax", this.newest);
    this.canvas.setAttribute("aria-valuenow", this.peekIndex ?? this.newest);
    const ago = (this.newest - (this.peekIndex ?? this.newest)) / this.fps;
    this.canvas.setAttribute("aria-valuetext", ago ? `${ago.toFixed(1)} seconds ago` : "now");
  }

  peek(index) {
    this.peekIndex = Math.round(Math.min(this.newest, Math.max(this.oldest, index)));
    this.on.peek(this.peekIndex);
  }

  // Continue from the stored frame on show (branch), or from the newest.
  endPeek(branch) {
    if (this.peekIndex === null) return;
    const index = this.peekIndex;
    this.peekIndex = null;
    if (branch && index < this.newest) this.on.branch(index);
    else this.on.cancel();
  }

  addListeners() {
    const options = { signal: this.listeners.signal }, canvas = this.canvas;
    const at = (event) => {
      const box = canvas.getBoundingClientRect();
      return this.newest - (1 - (event.clientX - box.left) / box.width) * this.historyFrames;
    };
    let dragging = false;
    canvas.addEventListener("pointerdown", (event) => {
      if (event.button) return;
      canvas.setPointerCapture(event.pointerId);
      dragging = true;
      this.peek(at(event));
    }, options);
    canvas.addEventListener("pointermove", (event) => {
      if (dragging && this.peekIndex !== null) this.peek(at(event));
    }, options);
    canvas.addEventListener("pointerup", () => { dragging = false; this.endPeek(true); }, options);
    canvas.addEventListener("pointercancel", () => { dragging = false; this.endPeek(false); }, options);
    canvas.addEventListener("keydown", (event) => {
      const stride = Math.max(1, Math.round(this.fps / 4));
      const moves = { ArrowLeft: -stride, ArrowRight: stride, PageUp: -4 * stride, PageDown: 4 * stride };
      if (event.key in moves) this.peek((this.peekIndex ?? this.newest) + moves[event.key]);
      else if (event.key === "Enter") this.endPeek(true);
      else if (event.key === "Escape") this.endPeek(false);
      else return;
      event.preventDefault();
      event.stopPropagation();
    }, options);
    canvas.addEventListener("blur", () => this.endPeek(false), options);
  }
}

export class PsnrCurve {
  constructor(canvas, output, historyFrames) {
    Object.assign(this, { canvas, output, historyFrames });
    this.points = [];  // [index, dB], sorted by index
  }

  clear() { this.points = []; }

  add(index, mse) {
    while (this.points.length && this.points.at(-1)[0] >= index) this.points.pop();
    this.points.push([index, Number.isNaN(mse) ? null : psnr(mse)]);
    const oldest = index - this.historyFrames;
    if (this.points[0][0] < oldest) this.points = this.points.filter(([at]) => at >= oldest);
    // The first frame is the real one itself: its PSNR is meaningless.
    const none = Number.isNaN(mse) || index === 0;
    this.output.textContent = none ? "–" : `${psnr(mse).toFixed(1)} dB · ${mse.toFixed(1)} MSE`;
  }

  draw() {
    const { context, width, height } = prepare(this.canvas);
    if (!width) return;  // folded away
    const newest = this.points.at(-1)?.[0] ?? 0, [low, high] = DB_RANGE;
    const x = (index) => width * (1 - (newest - index) / this.historyFrames);
    const y = (db) => 5 + (height - 10) * (1 - (Math.min(high, Math.max(low, db)) - low) / (high - low));
    context.font = `11px ${style.fontFamily}`;
    context.textBaseline = "middle";
    context.lineWidth = 1;
    for (const db of [20, 30, 40]) {
      context.strokeStyle = colour("--line");
      context.beginPath();
      context.moveTo(44, y(db));
      context.lineTo(width, y(db));
      context.stroke();
      context.fillStyle = colour("--muted");
      context.fillText(`${db} dB`, 8, y(db));
    }
    context.strokeStyle = colour("--accent");
    context.lineWidth = 1.75;
    context.lineJoin = "round";
    context.beginPath();
    let drawing = false;
    for (const [index, db] of this.points) {
      if (db === null || index === 0) { drawing = false; continue; }
      context[drawing ? "lineTo" : "moveTo"](x(index), y(db));
      drawing = true;
    }
    context.stroke();
  }
}
