// The page: draws the frames, sends the held action, and shows frame rates and latency.

import { DRIFT, Link, LOADING, PEEK } from "./link.js";
import { Controls } from "./controls.js";
import { Recorder } from "./recorder.js";
import { PsnrCurve, Timeline } from "./timeline.js";

const SPEEDS = [[0.25, "¼×"], [0.5, "½×"], [1, "1×"], [2, "2×"], [4, "4×"], [8, "8×"], [null, "max"]];
const TAP_MS = 200, PIXELATED_BELOW_PX = 200, DRIFT_SHOWN_MS = 1000;
const $ = (id) => document.getElementById(id);
const screens = [$("dream"), $("real")].map((canvas) => ({ canvas, context: canvas.getContext("2d") }));

let world, session, controls, timeline, curve, status;
let waiting = null;          // the newest frame that is decoded and not yet drawn
let lastSeq = 0, shownIndex = 0, loaded = false, dirty = true;
let hiddenPause = false, lostSince = 0, failure = "", drifted = -Infinity, finished = false;
let drawn = [], inputs = [], latencies = [], inputId = 0;

// ---- frames -------------------------------------------------------------------------------------------------

async function receive(frame) {
  const socket = link.socket;
  try {
    const jpegs = [frame.dream, frame.real].filter(Boolean);
    const pictures = await Promise.all(jpegs.map((jpeg) => createImageBitmap(jpeg)));
    if (socket !== link.socket || frame.seq < lastSeq) return;
    lastSeq = frame.seq;
    waiting = { ...frame, pictures };
  } catch (error) {
    link.send({ type: "ack", seq: frame.seq });
    toast(`A frame could not be decoded: ${error.message}`);
  }
}

function draw(now) {
  const frame = waiting;
  waiting = null;
  frame.pictures.forEach((picture, i) => {
    const { canvas, context } = screens[i];
    if (canvas.width !== picture.width || canvas.height !== picture.height) [canvas.width, canvas.height] = [picture.width, picture.height];
    context.drawImage(picture, 0, 0);
  });
  link.send({ type: "ack", seq: frame.seq });
  shownIndex = frame.index;
  dirty = true;
  if (frame.flags & DRIFT) drifted = now;
  $("drift").hidden = now - drifted > DRIFT_SHOWN_MS;
  if (frame.flags & LOADING) return;
  loaded = true;
  if (frame.flags & PEEK) return;
  drawn.push(now);
  while (inputs.length && inputs[0].id <= frame.inputId) latencies.push(performance.now() - inputs.shift().at);
  latencies = latencies.slice(-200);
  if (timeline.peekIndex === null) timeline.add(frame.index, frame.pictures[0]);
  if (world.beside) curve.add(frame.index, frame.mse);
}

let lastTick = performance.now();
function tick(now) {
  if (controls) controls.poll(Math.min(0.1, (now - lastTick) / 1000));
  lastTick = now;
  if (waiting) draw(now);
  if (dirty && timeline && now - (tick.redrawnAt ?? 0) > 80) {
    [tick.redrawnAt, dirty] = [now, false];
    timeline.draw();
    if (world.beside) curve.draw();
    showBadge();
  }
  requestAnimationFrame(tick);
}

// ---- messages -----------------------------------------------------------------------------------------------

const link = new Link({
  frame: receive,
  up() { lastSeq = 0; [loaded, waiting] = [false, null]; },
  down(seconds) {
    lostSince ||= performance.now();
    if (finished) return showOverlay("The recording is finished", `It lies in ${world.records_to}. You may close this page.`);
    if (failure) return showOverlay("The session could not start", failure);
    const long = performance.now() - lostSince > 3000;
    showOverlay(long ? "The server does not answer" : "Connection lost",
      long ? "Start it again in the terminal with worldling play. This page then reconnects." : "Trying again…");
    $("facts").textContent = `reconnecting in ${seconds.toFixed(0) || 1} s`;
  },
  refused() {
    showOverlay("The server refused this page", `It does not answer to ${location.host}. ` +
      `Open the address it printed, or start it with --allow-host ${location.hostname}.`);
  },
  message(message) {
    ({ welcome, status: showStatus, error: showError })[message.type](message);
  },
});

const recorder = new Recorder(link, toast);

function welcome(message) {
  ({ world, session } = message);
  status = null;
  finished = false;
  controls?.close();
  timeline?.close();
  controls = new Controls(world, {
    legend: $("legend"), canvas: $("dream"), marker: $("target"), command,
    send(action) {
      inputId += 1;
      if (status && !status.paused) inputs.push({ id: inputId, at: performance.now() });
      link.send({ type: "input", id: inputId, action });
    },
  });
  timeline = new Timeline($("timeline"), world.history_frames, world.fps, {
    peek(index) { clearInputs(); link.send({ type: "peek", index }); dirty = true; },
    branch(index) { clearInputs(); link.send({ type: "branch", index }); dirty = true; },
    cancel() { link.send({ type: "peek", index: null }); dirty = true; },
  });
  curve = new PsnrCurve($("curve"), $("curve-now"), world.history_frames);
  clearInputs();
  for (const element of ["real-screen", "curve-block", "dream-caption"]) $(element).hidden = !world.beside;
  for (const { canvas } of screens) canvas.classList.toggle("pixelated", world.size_px < PIXELATED_BELOW_PX);
  // A game that is recorded does not go back, and its data set is what is kept of it.
  for (const id of ["history", "rewind", "next", "film"]) $(id).hidden = Boolean(world.records_to);
  $("finish").hidden = !world.records_to;
  document.title = `${world.name} · Worldling`;
  $("name").textContent = world.name;
  $("facts").textContent = world.beside ? "starting the real environment…" : "loading the model…";
  layOut();
  if (hiddenPause || document.hidden) { hiddenPause = true; link.send({ type: "pause", on: true }); }
  const speed = SPEEDS[$("speed").value][0];
  if (speed !== 1) link.send({ type: "speed", value: speed });
}

function showError({ message }) {
  if (status) toast(message);
  else failure = message;  // the session never started, and the socket closes next
}

function showStatus(message) {
  status = message;
  failure = "";
  $("overlay").hidden = true;
  if (lostSince) toast("Reconnected. This is a new session.");
  lostSince = 0;
  if (status.paused) inputs = [];
  Object.assign(timeline, { oldest: status.oldest, branches: status.branches });
  if (timeline.peekIndex === null) timeline.newest = Math.max(timeline.newest, status.newest);
  controls.setNeutral(status.held);
  if (world.records_to) $("facts").textContent = `${status.note} · into ${world.records_to}`;
  else $("facts").textContent = `${world.size_px} px · ${Number(world.fps.toFixed(1))} frames/s · ${world.backend}`;
  $("hud-made").textContent = status.fps_made ? format(status.fps_made) : "–";
  const since = performance.now() - 2000;
  drawn = drawn.filter((at) => at > since);
  const span = (drawn.at(-1) - drawn[0]) / 1000;
  $("hud-shown").textContent = drawn.length > 1 ? format((drawn.length - 1) / span) : "–";
  const ordered = [...latencies].sort((a, b) => a - b);
  for (const [name, q] of [["p50", 0.5], ["p95", 0.95]]) {
    const at = Math.min(ordered.length - 1, Math.floor(q * ordered.length));
    $(`hud-${name}`).textContent = ordered.length ? format(ordered[at]) : "–";
  }
  $("pause").setAttribute("aria-pressed", String(status.paused));
  $("pause-label").textContent = status.paused ? "Play" : "Pause";
  const { start, num_branches: count } = status;
  const context = `${start % world.num_starts + 1} of ${world.num_starts}`;
  $("start-label").textContent = world.beside ? `seed ${start}` : context;
  $("branches").textContent = count ? `${count} ${count === 1 ? "branch" : "branches"}` : "";
  recorder.update(status, world.fps, session);
  $("note").textContent = status.note;
  $("note").hidden = !status.note;
  dirty = true;
}

const format = (number) => (number < 9.95 ? number.toFixed(1) : String(Math.round(number)));

// Time spent paused or looking at stored frames is not latency.
function clearInputs() { inputs = []; }

// ---- commands -----------------------------------------------------------------------------------------------

const commands = {
  pause() { hiddenPause = false; clearInputs(); link.send({ type: "pause", on: !status?.paused }); },
  step() { hiddenPause = false; link.send({ type: "step" }); },
  finish() { finished = true; link.send({ type: "finish" }); },
  reset() { reset(null); },
  next() { if (!world.records_to) reset((status?.start ?? 0) + 1); },
  record() { recorder.toggle(); },
};

function reset(start) {
  clearInputs();
  timeline.clear();
  curve.clear();
  drifted = -Infinity;
  link.send({ type: "reset", start });
  controls.restart();
}

// Rewind: a tap goes one second back; while held, it plays backwards at twice the speed.
const rewinding = { timer: 0, tap: 0 };
function rewind(down) {
  if (!timeline || down === Boolean(rewinding.tap)) return;
  if (down) {
    rewinding.tap = performance.now();
    let index = timeline.newest;
    rewinding.timer = setInterval(() => {
      if (performance.now() - rewinding.tap < TAP_MS) return;
      index = Math.max(timeline.oldest, index - world.fps / 15);
      timeline.peek(index);
    }, 1000 / 30);
    return;
  }
  clearInterval(rewinding.timer);
  rewinding.tap = 0;
  if (timeline.peekIndex !== null) timeline.endPeek(true);
  else { clearInputs(); link.send({ type: "rewind", frames: Math.max(1, Math.round(world.fps)) }); }
}

function command(name, down) {
  if (world?.records_to && ["rewind", "record"].includes(name)) return;
  if (name === "rewind") rewind(down);
  else if (down && session) commands[name]();
}

const KEYS = {
  Space: "pause", Period: "step", NumpadDecimal: "step", KeyR: "reset", KeyN: "next", KeyV: "record",
  Backspace: "rewind", BracketLeft: "rewind",
};
// A focused button takes Space and Enter, a focused slider the arrow keys; all other keys control the world.
const isWidget = (element, key) => (element?.matches?.("button") && ["Space", "Enter"].includes(key))
  || (element?.matches?.("input") && /^(Arrow|Page|Home|End)/.test(key));

addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || !controls || isWidget(event.target, event.code)) return;
  const name = KEYS[event.code];
  if (name && !event.repeat) command(name, true);
  if (name || controls.key(event, true)) event.preventDefault();
});
addEventListener("keyup", (event) => {
  if (KEYS[event.code] === "rewind") rewind(false);
  controls?.key(event, false);
});
addEventListener("blur", () => { controls?.releaseAll(); if (rewinding.tap) rewind(false); });
document.addEventListener("visibilitychange", () => {
  if (document.hidden && status && !status.paused) {
    hiddenPause = true;
    link.send({ type: "pause", on: true });
  } else if (!document.hidden && hiddenPause) {
    hiddenPause = false;
    link.send({ type: "pause", on: false });
  }
});

for (const name of ["pause", "step", "reset", "next", "record", "finish"]) $(name).onclick = () => command(name, true);
$("rewind").onpointerdown = (event) => { event.target.setPointerCapture(event.pointerId); rewind(true); };
$("rewind").onlostpointercapture = () => rewind(false);
$("rewind").onclick = (event) => { if (!event.detail) { rewind(true); rewind(false); } };
$("speed").oninput = (event) => {
  const [value, label] = SPEEDS[event.target.value];
  $("speed-label").textContent = label;
  event.target.setAttribute("aria-valuetext", label);
  link.send({ type: "speed", value });
};
// After a click the keys control the world again; after keyboard use, focus stays where it is.
addEventListener("pointerup", () => setTimeout(() => {
  if (document.activeElement?.matches("button, input, #timeline")) document.activeElement.blur();
}));

// ---- layout -------------------------------------------------------------------------------------------------

function showOverlay(title, text) {
  $("overlay-title").textContent = title;
  $("overlay-text").textContent = text;
  $("overlay").hidden = false;
}

function toast(text) {
  $("toast").textContent = text;
  $("toast").hidden = false;
  clearTimeout(toast.timer);
  toast.timer = setTimeout(() => { $("toast").hidden = true; }, 6000);
}

function showBadge() {
  const back = timeline.peekIndex === null ? 0 : (timeline.newest - timeline.peekIndex) / world.fps;
  const paused = status?.paused ? `paused at ${(shownIndex / world.fps).toFixed(1)} s` : "";
  const text = timeline.peekIndex !== null ? `${back.toFixed(1)} s ago` : paused;
  $("badge").hidden = !text || !loaded;
  $("badge").textContent = text;
}

// As large as fits; small frames are enlarged by a whole factor, so that every pixel has the same size.
function layOut() {
  if (!world) return;
  const count = world.beside ? 2 : 1, narrow = innerWidth <= 860;
  const gap = parseFloat(getComputedStyle($("stage")).columnGap);
  const across = ($("stage").clientWidth - (count - 1) * gap) / count;
  const down = narrow ? innerHeight * 0.62 : innerHeight - (world.beside ? 330 : 190);
  const [columns, rows] = world.picture_px;
  let height = Math.floor(Math.max(160 / Math.max(1, world.aspect), Math.min(across / world.aspect, down)));
  const pixel = rows / devicePixelRatio;  // one screen pixel per world pixel
  if (world.size_px < PIXELATED_BELOW_PX && height > pixel) height = Math.floor(height / pixel) * pixel;
  // Sides are rounded to whole pixels: only a picture that was squeezed is stretched.
  const squeezed = Math.abs((rows * world.aspect) / columns - 1) > 0.03;
  const width = squeezed ? height * world.aspect : (height * columns) / rows;
  for (const { canvas } of screens) Object.assign(canvas.style, { width: `${width}px`, height: `${height}px` });
  dirty = true;
}

// On touch screens, buttons replace key names; on a laptop a touch screen is detected at the first touch.
const useTouch = () => { document.body.classList.add("touch"); layOut(); };
if (matchMedia("(hover: none) and (pointer: coarse)").matches) useTouch();
addEventListener("pointerdown", (event) => event.pointerType === "touch" && useTouch());
addEventListener("resize", layOut);
requestAnimationFrame(tick);
