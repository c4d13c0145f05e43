// The page: draws what comes, sends what is held, and shows how fast both are.

import { DRIFT, Link, OPENING, PEEK } from "./link.js";
import { Controls } from "./controls.js";
import { Film } from "./film.js";
import { Curve, Timeline } from "./past.js";

const SPEEDS = [[0.25, "¼×"], [0.5, "½×"], [1, "1×"], [2, "2×"], [4, "4×"], [8, "8×"], [null, "max"]];
const TAP_MS = 200, CRISP_BELOW_PX = 200, DRIFT_SHOWN_MS = 1000;
const $ = (id) => document.getElementById(id);
const screens = [$("dream"), $("real")].map((canvas) => ({ canvas, context: canvas.getContext("2d") }));

let world, session, controls, timeline, curve, status;
let waiting = null;          // decoded, not drawn yet: only ever the newest
let lastSeq = 0, shownIndex = 0, opened = false, dirty = true;
let hiddenPause = false, lostSince = 0, failure = "", drifted = -Infinity;
let drawn = [], inputs = [], latencies = [], inputId = 0;

// ---- frames -------------------------------------------------------------------------------------------------

async function receive(frame) {
  const socket = link.socket;
  try {
    const pictures = await Promise.all([frame.dream, frame.real].filter(Boolean).map((jpeg) => createImageBitmap(jpeg)));
    if (socket !== link.socket || frame.seq < lastSeq) return;
    lastSeq = frame.seq;
    waiting = { ...frame, pictures };
  } catch (error) {
    link.send({ type: "ack", seq: frame.seq });
    toast(`A picture could not be read: ${error.message}`);
  }
}

function draw(now) {
  const frame = waiting;
  waiting = null;
  frame.pictures.forEach((picture, i) => {
    const { canvas, context } = screens[i];
    if (canvas.width !== picture.width) [canvas.width, canvas.height] = [picture.width, picture.height];
    context.drawImage(picture, 0, 0);
  });
  link.send({ type: "ack", seq: frame.seq });
  shownIndex = frame.index;
  dirty = true;
  if (frame.flags & DRIFT) drifted = now;
  $("drift").hidden = now - drifted > DRIFT_SHOWN_MS;
  if (frame.flags & OPENING) return;
  opened = true;
  if (frame.flags & PEEK) return;
  drawn.push(now);
  while (inputs.length && inputs[0].id <= frame.inputId) latencies.push(performance.now() - inputs.shift().at);
  latencies = latencies.slice(-200);
  if (timeline.looking === null) timeline.see(frame.index, frame.pictures[0]);
  if (world.beside) curve.see(frame.index, frame.mse);
}

let lastTick = performance.now();
function tick(now) {
  if (controls) controls.poll(Math.min(0.1, (now - lastTick) / 1000));
  lastTick = now;
  if (waiting) draw(now);
  if (dirty && timeline && now - (tick.painted ?? 0) > 80) {
    [tick.painted, dirty] = [now, false];
    timeline.draw();
    if (world.beside) curve.draw();
    badge();
  }
  requestAnimationFrame(tick);
}

// ---- messages -----------------------------------------------------------------------------------------------

const link = new Link({
  frame: receive,
  up() { lastSeq = 0; [opened, waiting] = [false, null]; },
  down(seconds) {
    lostSince ||= performance.now();
    if (failure) return cover("The world could not start", failure);
    const long = performance.now() - lostSince > 3000;
    cover(long ? "The server is not there" : "Connection lost",
      long ? "Start it again in the terminal with worldling play. This page comes back by itself." : "Trying again…");
    $("facts").textContent = `next try in ${seconds.toFixed(0) || 1} s`;
  },
  message(message) {
    ({ welcome, status: stand, error: trouble })[message.type](message);
  },
});

const film = new Film(link, toast);

function welcome(message) {
  ({ world, session } = message);
  status = null;
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
  timeline = new Timeline($("timeline"), world.kept_frames, world.fps, {
    peek(index) { forget(); link.send({ type: "peek", index }); dirty = true; },
    branch(index) { forget(); link.send({ type: "branch", index }); dirty = true; },
    cancel() { link.send({ type: "peek", index: null }); dirty = true; },
  });
  curve = new Curve($("curve"), $("curve-now"), world.kept_frames);
  forget();
  for (const element of ["real-screen", "curve-block", "dream-caption"]) $(element).hidden = !world.beside;
  for (const { canvas } of screens) canvas.classList.toggle("crisp", world.size_px < CRISP_BELOW_PX);
  document.title = `${world.name} · Worldling`;
  $("name").textContent = world.name;
  $("facts").textContent = world.beside ? "starting the real environment…" : "waking up…";
  arrange();
  if (hiddenPause || document.hidden) { hiddenPause = true; link.send({ type: "pause", on: true }); }
  const speed = SPEEDS[$("speed").value][0];
  if (speed !== 1) link.send({ type: "speed", value: speed });
}

function trouble({ message }) {
  if (status) toast(message);
  else failure = message;  // it never started, and the socket closes next
}

function stand(message) {
  status = message;
  failure = "";
  $("cover").hidden = true;
  if (lostSince) toast("Connected again. This is a new session.");
  lostSince = 0;
  if (status.paused) inputs = [];
  Object.assign(timeline, { oldest: status.oldest, branches: status.branches });
  if (timeline.looking === null) timeline.newest = Math.max(timeline.newest, status.newest);
  controls.rest(status.held);
  $("facts").textContent = `${world.size_px} px · ${Number(world.fps.toFixed(1))} frames a second · ${world.backend}`;
  $("hud-made").textContent = status.fps_made ? tidy(status.fps_made) : "–";
  const since = performance.now() - 2000;
  drawn = drawn.filter((at) => at > since);
  const span = (drawn.at(-1) - drawn[0]) / 1000;
  $("hud-shown").textContent = drawn.length > 1 ? tidy((drawn.length - 1) / span) : "–";
  const ordered = [...latencies].sort((a, b) => a - b);
  for (const [name, q] of [["p50", 0.5], ["p95", 0.95]]) {
    $(`hud-${name}`).textContent = ordered.length ? tidy(ordered[Math.min(ordered.length - 1, Math.floor(q * ordered.length))]) : "–";
  }
  $("pause").setAttribute("aria-pressed", String(status.paused));
  $("pause-word").textContent = status.paused ? "Play" : "Pause";
  $("start-word").textContent = world.beside ? `seed ${status.start}` : `${status.start % world.num_starts + 1} of ${world.num_starts}`;
  $("branches").textContent = status.num_branches ? `${status.num_branches} ${status.num_branches === 1 ? "branch" : "branches"}` : "";
  film.stand(status, world.fps, session);
  $("note").textContent = status.note;
  $("note").hidden = !status.note;
  dirty = true;
}

const tidy = (number) => (number < 9.95 ? number.toFixed(1) : String(Math.round(number)));

// Waiting while paused or looking back is the player's, not the machine's: it must not count as latency.
function forget() { inputs = []; }

// ---- commands -----------------------------------------------------------------------------------------------

const commands = {
  pause() { hiddenPause = false; forget(); link.send({ type: "pause", on: !status?.paused }); },
  step() { hiddenPause = false; link.send({ type: "step" }); },
  reset() { begin(null); },
  next() { begin((status?.start ?? 0) + 1); },
  record() { film.toggle(); },
};

function begin(start) {
  forget();
  timeline.clear();
  curve.clear();
  drifted = -Infinity;
  link.send({ type: "reset", start });
  controls.restart();
}

// Rewind: a tap goes one second back; held, it runs backwards at twice the speed until let go.
const rewinding = { timer: 0, tap: 0 };
function rewind(down) {
  if (!timeline || down === Boolean(rewinding.tap)) return;
  if (down) {
    rewinding.tap = performance.now();
    let place = timeline.newest;
    rewinding.timer = setInterval(() => {
      if (performance.now() - rewinding.tap < TAP_MS) return;
      place = Math.max(timeline.oldest, place - world.fps / 15);
      timeline.look(place);
    }, 1000 / 30);
    return;
  }
  clearInterval(rewinding.timer);
  rewinding.tap = 0;
  if (timeline.looking !== null) timeline.leave(true);
  else { forget(); link.send({ type: "rewind", frames: Math.max(1, Math.round(world.fps)) }); }
}

function command(name, down) {
  if (name === "rewind") rewind(down);
  else if (down && session) commands[name]();
}

const KEYS = {
  Space: "pause", Period: "step", NumpadDecimal: "step", KeyR: "reset", KeyN: "next", KeyV: "record",
  Backspace: "rewind", BracketLeft: "rewind",
};
// A focused button takes Space and Enter, a focused slider the arrows; all else is the game's.
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

for (const name of ["pause", "step", "reset", "next", "record"]) $(name).onclick = () => command(name, true);
$("rewind").onpointerdown = (event) => { event.target.setPointerCapture(event.pointerId); rewind(true); };
$("rewind").onlostpointercapture = () => rewind(false);
$("rewind").onclick = (event) => { if (!event.detail) { rewind(true); rewind(false); } };
$("speed").oninput = (event) => {
  const [value, word] = SPEEDS[event.target.value];
  $("speed-word").textContent = word;
  event.target.setAttribute("aria-valuetext", word);
  link.send({ type: "speed", value });
};
// After a click the keys belong to the game again; with the keyboard, focus stays where it is.
addEventListener("pointerup", () => setTimeout(() => {
  if (document.activeElement?.matches("button, input, #timeline")) document.activeElement.blur();
}));

// ---- the look -----------------------------------------------------------------------------------------------

function cover(title, text) {
  $("cover-title").textContent = title;
  $("cover-text").textContent = text;
  $("cover").hidden = false;
}

function toast(text) {
  $("toast").textContent = text;
  $("toast").hidden = false;
  clearTimeout(toast.timer);
  toast.timer = setTimeout(() => { $("toast").hidden = true; }, 6000);
}

function badge() {
  const back = timeline.looking === null ? 0 : (timeline.newest - timeline.looking) / world.fps;
  const text = timeline.looking !== null ? `${back.toFixed(1)} s ago` : status?.paused ? `paused at ${(shownIndex / world.fps).toFixed(1)} s` : "";
  $("badge").hidden = !text || !opened;
  $("badge").textContent = text;
}

// As large as fits; small worlds in whole steps, so that every pixel has the same size.
function arrange() {
  if (!world) return;
  const count = world.beside ? 2 : 1, narrow = innerWidth <= 860;
  const gap = parseFloat(getComputedStyle($("stage")).columnGap);
  const across = ($("stage").clientWidth - (count - 1) * gap) / count;
  const down = narrow ? innerHeight * 0.62 : innerHeight - (world.beside ? 330 : 190);
  let side = Math.floor(Math.max(160, Math.min(across, down)));
  const pixel = world.size_px / devicePixelRatio;  // one screen pixel per world pixel
  if (world.size_px < CRISP_BELOW_PX && side > pixel) side = Math.floor(side / pixel) * pixel;
  for (const { canvas } of screens) canvas.style.width = canvas.style.height = `${side}px`;
  dirty = true;
}

// Touch shows thumb pads instead of key names; a touch screen on a laptop is found out at the first touch.
const touched = () => { document.body.classList.add("touch"); arrange(); };
if (matchMedia("(hover: none) and (pointer: coarse)").matches) touched();
addEventListener("pointerdown", (event) => event.pointerType === "touch" && touched());
addEventListener("resize", arrange);
requestAnimationFrame(tick);
