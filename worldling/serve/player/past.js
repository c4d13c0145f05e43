// The last minute: a strip of small pictures to go back in, and the curve of likeness between dream and real.
// Both put the newest frame at the right edge and `keptFrames` to its left, so they line up.

const THUMB_PX = 64;
const DB_RANGE = [10, 50];
const style = getComputedStyle(document.documentElement);
const colour = (name) => style.getPropertyValue(name).trim();

export const psnr = (mse) => Math.min(99, 10 * Math.log10(255 ** 2 / Math.max(mse, 1e-9)));

// Make the canvas as sharp as the screen and return its context, width and height in CSS pixels.
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
  constructor(canvas, keptFrames, fps, on) {
    Object.assign(this, { canvas, keptFrames, fps, on });
    this.thumbs = new Map();  // second since the start -> {index, picture}
    this.oldest = this.newest = 0;
    this.branches = [];
    this.looking = null;      // the index under the finger or the arrow keys
    this.listening = new AbortController();
    this.listen();
  }

  close() { this.listening.abort(); }

  clear() {
    this.thumbs.clear();
    this.oldest = this.newest = 0;
    this.looking = null;
  }

  // A frame was drawn: keep a small copy of the first one of each second.
  see(index, picture) {
    if (index < this.newest) {
      for (const [second, thumb] of this.thumbs) if (thumb.index > index) this.thumbs.delete(second);
    }
    this.newest = index;
    const second = Math.floor(index / this.fps);
    if (this.thumbs.has(second)) return;
    const small = Object.assign(document.createElement("canvas"), { width: THUMB_PX, height: THUMB_PX });
    small.getContext("2d").drawImage(picture, 0, 0, THUMB_PX, THUMB_PX);
    this.thumbs.set(second, { index, picture: small });
    for (const [old, thumb] of this.thumbs) if (thumb.index < this.newest - this.keptFrames) this.thumbs.delete(old);
  }

  draw() {
    const { context, width, height } = prepare(this.canvas);
    const x = (index) => width * (1 - (this.newest - index) / this.keptFrames);
    const seconds = Math.max(1, Math.ceil((height * this.keptFrames) / (width * this.fps)));
    const slot = (seconds * this.fps * width) / this.keptFrames;
    for (const [second, { picture }] of this.thumbs) {
      if (second % seconds) continue;  // they would overlap
      const left = x(second * this.fps), shown = Math.min(slot - 1, width - left);
      if (shown <= 0) continue;
      const part = Math.min(1, shown / height);
      context.drawImage(picture, 0, 0, THUMB_PX * part, THUMB_PX, left, 0, height * part, height);
    }
    if (this.newest < this.keptFrames * 0.8) {
      context.font = `11px ${style.fontFamily}`;
      context.textBaseline = "middle";
      context.fillStyle = colour("--soft");
      context.fillText(`${Math.round(this.keptFrames / this.fps)} s ago`, 10, height / 2);
    }
    context.fillStyle = colour("--accent");
    for (const index of this.branches) {
      context.fillRect(x(index) - 1, 0, 2, height);
      context.beginPath();
      context.arc(x(index), 5, 4, 0, 7);
      context.fill();
    }
    if (this.looking !== null) {
      context.fillStyle = "#0d1014b8";
      context.fillRect(x(this.looking), 0, width, height);
      context.fillStyle = colour("--ink");
      context.fillRect(x(this.looking) - 1, 0, 2, height);
    }
    this.canvas.setAttribute("aria-valuemin", this.oldest);
    this.canvas.setAttribute("aria-valuemax", this.newest);
    this.canvas.setAttribute("aria-valuenow", this.looking ?? this.newest);
    const ago = (this.newest - (this.looking ?? this.newest)) / this.fps;
    this.canvas.setAttribute("aria-valuetext", ago ? `${ago.toFixed(1)} seconds ago` : "now");
  }

  look(index) {
    this.looking = Math.round(Math.min(this.newest, Math.max(this.oldest, index)));
    this.on.peek(this.looking);
  }

  // End the look back: play on from there, or (cancelled) from where we were.
  leave(branch) {
    if (this.looking === null) return;
    const index = this.looking;
    this.looking = null;
    if (branch && index < this.newest) this.on.branch(index);
    else this.on.cancel();
  }

  listen() {
    const options = { signal: this.listening.signal }, canvas = this.canvas;
    const at = (event) => {
      const box = canvas.getBoundingClientRect();
      return this.newest - (1 - (event.clientX - box.left) / box.width) * this.keptFrames;
    };
    let dragging = false;
    canvas.addEventListener("pointerdown", (event) => {
      if (event.button) return;
      canvas.setPointerCapture(event.pointerId);
      dragging = true;
      this.look(at(event));
    }, options);
    canvas.addEventListener("pointermove", (event) => dragging && this.looking !== null && this.look(at(event)), options);
    canvas.addEventListener("pointerup", () => { dragging = false; this.leave(true); }, options);
    canvas.addEventListener("pointercancel", () => { dragging = false; this.leave(false); }, options);
    canvas.addEventListener("keydown", (event) => {
      const stride = Math.max(1, Math.round(this.fps / 4));
      const moves = { ArrowLeft: -stride, ArrowRight: stride, PageUp: -4 * stride, PageDown: 4 * stride };
      if (event.key in moves) this.look((this.looking ?? this.newest) + moves[event.key]);
      else if (event.key === "Enter") this.leave(true);
      else if (event.key === "Escape") this.leave(false);
      else return;
      event.preventDefault();
      event.stopPropagation();
    }, options);
    canvas.addEventListener("blur", () => this.leave(false), options);
  }
}

export class Curve {
  constructor(canvas, output, keptFrames) {
    Object.assign(this, { canvas, output, keptFrames });
    this.points = [];  // [index, dB], rising in index
  }

  clear() { this.points = []; }

  see(index, mse) {
    while (this.points.length && this.points.at(-1)[0] >= index) this.points.pop();
    this.points.push([index, Number.isNaN(mse) ? null : psnr(mse)]);
    const oldest = index - this.keptFrames;
    if (this.points[0][0] < oldest) this.points = this.points.filter(([at]) => at >= oldest);
    // The start is the real frame itself: no likeness to speak of.
    const known = Number.isNaN(mse) || index === 0;
    this.output.textContent = known ? "–" : `${psnr(mse).toFixed(1)} dB PSNR · ${mse.toFixed(1)} MSE`;
  }

  draw() {
    const { context, width, height } = prepare(this.canvas);
    const newest = this.points.at(-1)?.[0] ?? 0, [low, high] = DB_RANGE;
    const x = (index) => width * (1 - (newest - index) / this.keptFrames);
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
      context.fillStyle = colour("--soft");
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
