// Playing a world: one session from `open` to `close`. Sends the held action, takes the frames, obeys the buttons.

import { Controls } from "./controls.js";
import { DRIFT, Link, LOADING, OVER, PEEK, UNREACHABLE } from "./engine.js";
import { Meters, rememberFolds } from "./meters.js";
import { OwnPicture } from "./picture.js";
import { Recorder } from "./recorder.js";
import { Returns } from "./returns.js";
import { sentence } from "./schemes.js";
import * as screen from "./screen.js";
import { offerLink } from "./share.js";
import { PsnrCurve, Timeline } from "./timeline.js";

const SPEEDS = [[0.25, "¼×"], [0.5, "½×"], [1, "1×"], [2, "2×"], [4, "4×"], [8, "8×"], [null, "max"]];
const TAP_MS = 200, DRIFT_SHOWN_MS = 1000, REDRAW_MS = 80;
const UNKNOWN = { picture_px: [64, 64], aspect: 1, size_px: 64 };  // the place of a picture before it is described
const $ = (id) => document.getElementById(id);

let link = null, world, session, controls, timeline, curve, returns, status;
let mayLeave = false;        // whether there is a start page to go back to
let waiting = null;          // the newest frame that is decoded and not yet drawn
let shown = null;            // the frame on the screen
let lastSeq = 0, loaded = false, dirty = true, inputId = 0, hiddenPause = false, lostSince = 0;
let failure = "", drifted = -Infinity, finished = false, note = "";  // note: said last of the real environment
let wentOn = false, isReady = false;  // beyond the end of the game; a real environment waits for the first key
let meters = new Meters();

const send = (message) => link?.send(message);

// Play world `id`; options.mayLeave: whether other worlds can be chosen; options.listing: what the start page said of
// it, which is shown until it is open.
export function open(id, options) {
  close();
  ({ mayLeave } = options);
  world = session = status = shown = waiting = null;
  [failure, note, lostSince, finished, hiddenPause] = ["", "", 0, false, false];
  meters = new Meters();
  $("play").hidden = false;
  document.body.classList.add("playing");
  const { listing } = options;
  $("title").textContent = listing?.title ?? id;
  for (const part of ["what", "how"]) $(part).textContent = listing?.[part] ?? "";
  for (const part of ["legend", "pads"]) $(part).replaceChildren();
  for (const part of ["score", "over", "badge", "drift", "target", "choose-picture"]) $(part).hidden = true;
  $("back").hidden = !mayLeave;
  screen.setShape(listing ?? UNKNOWN);
  screen.showOverlay("", "Loading…");
  screen.clear();
  link = new Link(id, {
    frame: receive, down, refused, message: (message) => messages[message.type]?.(message),
    up() { lastSeq = 0; [loaded, waiting] = [false, null]; },
  });
  const newest = link;
  if (listing?.preview) {
    const image = Object.assign(new Image(), { src: listing.preview });
    image.onload = () => { if (link === newest && !shown) screen.drawPictures([image]); };
  }
  requestAnimationFrame(function tick(now) {
    if (link !== newest) return;
    each(now);
    requestAnimationFrame(tick);
  });
}

export function close() {
  link?.close();
  controls?.close();
  timeline?.close();
  link = controls = timeline = status = session = null;
  screen.setFull(false);
  $("play").hidden = true;
  showMore(false);
  document.body.classList.remove("playing");
}

// home: the page of all worlds, or null where leave() shows them in this one.
export function onLeave(home, leave) {
  $("back").href = home ?? "./";
  $("back").onclick = (event) => {
    if (home || event.ctrlKey || event.metaKey || event.shiftKey) return;  // another page, or a new tab
    event.preventDefault();
    leave();
  };
}

// ---- frames -------------------------------------------------------------------------------------------------

async function receive(frame) {
  const { socket } = link;
  try {
    const jpegs = [frame.dream, frame.real].filter(Boolean);
    const pictures = await Promise.all(jpegs.map((jpeg) => createImageBitmap(jpeg)));
    if (socket !== link?.socket || frame.seq < lastSeq) return;
    lastSeq = frame.seq;
    waiting = { ...frame, pictures };
  } catch (error) {
    send({ type: "ack", seq: frame.seq });
    screen.toast(`A frame could not be decoded: ${error.message}`);
  }
}

function draw(now) {
  const frame = shown = waiting;
  waiting = null;
  screen.drawPictures(frame.pictures);
  send({ type: "ack", seq: frame.seq });
  dirty = true;
  if (frame.flags & DRIFT) drifted = now;
  $("drift").hidden = now - drifted > DRIFT_SHOWN_MS;
  if (frame.flags & LOADING) return;
  loaded = true;
  screen.showScore(frame.score);
  showOver();
  if (frame.flags & PEEK) return;
  meters.drew(frame.inputId);
  if (timeline.peekIndex === null) timeline.add(frame.index, frame.pictures[0]);
  if (world.beside) curve.add(frame.index, frame.mse);
}

let lastTick = 0, redrawnAt = 0;
function each(now) {
  controls?.poll(Math.min(0.1, Math.max(0, now - lastTick) / 1000));
  lastTick = now;
  if (waiting) draw(now);
  if (!dirty || !timeline || now - redrawnAt < REDRAW_MS) return;
  [redrawnAt, dirty] = [now, false];
  timeline.draw();
  returns.place();
  if (world.beside) curve.draw();
  showBadge();
}

function showBadge() {
  const back = timeline.peekIndex === null ? 0 : (timeline.newest - timeline.peekIndex) / world.fps;
  const at = ((shown?.index ?? 0) / world.fps).toFixed(1);
  const paused = status?.paused && $("over").hidden ? `paused at ${at} s` : "";
  screen.showBadge(!loaded ? "" : timeline.peekIndex !== null ? `${back.toFixed(1)} s ago` : paused);
}

// The end of the game, until the player chooses. The frame tells it first, and the status while nothing moves.
function showOver() {
  const isOver = Boolean(status?.over || (shown?.flags & OVER && !(shown.flags & PEEK)));
  if (!isOver) wentOn = false;
  const score = Number.isFinite(shown?.score) ? shown.score : status?.score;
  screen.showOver(isOver && !wentOn && timeline?.peekIndex === null && !world?.records_to, score);
}

// ---- messages -----------------------------------------------------------------------------------------------

const messages = { welcome, status: showStatus, error: showError };

function down(seconds) {
  lostSince ||= performance.now();
  const { records_to: path } = world ?? {};
  if (finished) return screen.showOverlay("The recording is finished", `It lies in ${path}. You may close this page.`);
  if (failure) return screen.showOverlay("The session could not start", failure);
  const isLong = performance.now() - lostSince > 3000;
  screen.showOverlay(isLong ? "The server does not answer" : "Connection lost",
    isLong ? UNREACHABLE : "Trying again…");
  $("facts").textContent = `reconnecting in ${seconds.toFixed(0) || 1} s`;
}

function refused() {
  screen.showOverlay("The server refused this page", `It does not answer to ${location.host}. ` +
    `Open the address it printed, or start it with --allow-host ${location.hostname}.`);
}

const recorder = new Recorder({ send }, screen.toast);

function welcome(message) {
  ({ world, session } = message);
  status = null;
  finished = wentOn = false;
  controls?.close();
  timeline?.close();
  controls = new Controls(world, {
    legend: $("legend"), pads: $("pads"), canvas: $("dream"), marker: $("target"), command,
    send(action) {
      if (isReady) command("pause", true);
      inputId += 1;
      if (status && !status.paused) meters.sent(inputId);
      send({ type: "input", id: inputId, action });
    },
  });
  timeline = new Timeline($("timeline"), world.history_frames, world.fps, {
    peek(index) { meters.forgetInputs(); send({ type: "peek", index }); showOver(); dirty = true; },
    branch(index) { meters.forgetInputs(); send({ type: "branch", index }); dirty = true; },
    cancel() { send({ type: "peek", index: null }); dirty = true; },
  });
  curve = new PsnrCurve($("curve"), $("curve-now"), world.history_frames);
  const places = { lines: $("lines"), list: $("returns"), hint: $("history-hint") };
  returns = new Returns(places, timeline, world.fps, (other) => {
    meters.forgetInputs();
    timeline.returnTo(other);
    send({ type: "return", branch: other.id });
    dirty = true;
  });
  meters.forgetInputs();
  for (const element of ["real-screen", "curve-block", "dream-caption"]) $(element).hidden = !world.beside;
  // A game that is recorded does not go back, and its data set is what is kept of it.
  for (const id of ["history", "rewind", "next", "film"]) $(id).hidden = Boolean(world.records_to);
  $("finish").hidden = !world.records_to;
  $("choose-picture").hidden = !mayStartFromPicture();
  $("back").hidden = !mayLeave || Boolean(world.records_to) || world.num_worlds === 1;
  const title = world.title || world.name;
  document.title = `${title} · Worldling`;
  $("title").textContent = title;
  $("what").textContent = world.what ?? "";
  showHow();
  if (world.beside) screen.showOverlay("", "Starting the real environment…");
  screen.setShape(world);
  ready();
  if (hiddenPause || document.hidden) { hiddenPause = true; send({ type: "pause", on: true }); }
  const speed = SPEEDS[$("speed").value][0];
  if (speed !== 1) send({ type: "speed", value: speed });
}

// A real environment does not run ahead of its player: it waits for the first key.
function ready() {
  isReady = Boolean(world.beside || world.records_to);
  if (isReady) send({ type: "pause", on: true });
}

function showHow() {
  $("verdict").hidden = world.verdict !== "not playable yet";
  $("legend").classList.toggle("said", !world.how);
  $("how").textContent = world.how || sentence(controls.scheme, document.body.classList.contains("touch"));
}

function showError({ message }) {
  if (status) screen.toast(message);
  else failure = message;  // the session never started, and the socket closes next
}

function showStatus(message) {
  status = message;
  failure = "";
  $("overlay").hidden = true;
  if (isReady && status.paused) screen.showOverlay("Ready", "Press a key or move to begin");
  if (lostSince) screen.toast("Reconnected. This is a new session.");
  lostSince = 0;
  if (status.paused) meters.forgetInputs();
  Object.assign(timeline, { oldest: status.oldest, branches: status.branches });
  if (timeline.peekIndex === null) timeline.newest = Math.max(timeline.newest, status.newest);
  returns.update(status.others ?? []);
  controls.setNeutral(status.held);
  if (world.records_to) $("what").textContent = `${status.note} · into ${world.records_to}`;
  const pace = `${world.size_px} px · ${Number(world.fps.toFixed(1))} frames/s · ${world.backend}`;
  const { start, num_branches: count } = status;
  $("facts").textContent = count ? `${pace} · ${count} ${count === 1 ? "branch" : "branches"}` : pace;
  meters.show(status.fps_made);
  $("pause").setAttribute("aria-pressed", String(status.paused));
  $("pause-label").textContent = status.paused ? "Play" : "Pause";
  const context = `${start % world.num_starts + 1}/${world.num_starts}`;
  $("start-label").textContent = status.own_picture ? "" : world.beside ? `seed ${start}` : context;
  $("reset-label").textContent = status.own_picture ? "to your picture" : "";
  recorder.update(status, world.fps, session);
  $("note").textContent = status.note;
  $("note").hidden = !status.note;
  if (status.note && status.note !== note && !world.beside && !world.records_to) screen.toast(status.note);
  ({ note } = status);
  showOver();
  dirty = true;
}

// ---- commands -----------------------------------------------------------------------------------------------

const commands = {
  pause() {
    const begins = isReady;
    hiddenPause = isReady = false;
    wentOn ||= !$("over").hidden;
    meters.forgetInputs();
    send({ type: "pause", on: !begins && !status?.paused && !wentOn });
    showOver();
  },
  step() { hiddenPause = isReady = false; wentOn = true; send({ type: "step" }); },
  finish() { finished = true; send({ type: "finish" }); },
  reset() { reset(null); },
  next() { if (!world.records_to) reset((status?.start ?? 0) + 1); },
  record() { recorder.toggle(); },
};

function reset(start) {
  begin();
  send({ type: "reset", start });
  ready();
  controls.restart();
}

function begin() {  // what was played is gone: a new start follows
  meters.forgetInputs();
  timeline.clear();
  curve.clear();
  drifted = -Infinity;
  wentOn = false;
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
  else { meters.forgetInputs(); send({ type: "rewind", frames: Math.max(1, Math.round(world.fps)) }); }
}

function command(name, isDown) {
  if (name === "full") return isDown && screen.toggleFull();
  if (world?.records_to && ["rewind", "record"].includes(name)) return;
  if (name === "rewind") rewind(isDown);
  else if (isDown && session) commands[name]();
}

const KEYS = {
  Space: "pause", Period: "step", NumpadDecimal: "step", KeyR: "reset", KeyN: "next", KeyV: "record", KeyL: "full",
  Backspace: "rewind", BracketLeft: "rewind",
};
// A focused button or link takes Space and Enter, a focused slider the arrow keys; all other keys control the world.
const isWidget = (element, key) => (element?.matches?.("button, summary") && ["Space", "Enter"].includes(key))
  || (element?.matches?.("a") && key === "Enter")
  || (element?.matches?.("input") && /^(Arrow|Page|Home|End)/.test(key));

addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || !controls || isWidget(event.target, event.code)) return;
  if (event.key === "Escape") { showMore(false); return screen.setFull(false); }
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
    send({ type: "pause", on: true });
  } else if (!document.hidden && hiddenPause) {
    hiddenPause = false;
    send({ type: "pause", on: false });
  }
});

const BUTTONS = { again: "reset", "go-on": "pause", "leave-button": "full" };
for (const name of ["pause", "step", "reset", "next", "record", "finish", "full"]) BUTTONS[name] = name;
for (const [id, name] of Object.entries(BUTTONS)) $(id).onclick = () => command(name, true);
$("rewind").onpointerdown = (event) => { event.target.setPointerCapture(event.pointerId); rewind(true); };
$("rewind").onlostpointercapture = () => rewind(false);
$("rewind").onclick = (event) => { if (!event.detail) { rewind(true); rewind(false); } };
$("speed").oninput = (event) => {
  const [value, label] = SPEEDS[event.target.value];
  $("speed-label").textContent = label;
  event.target.setAttribute("aria-valuetext", label);
  send({ type: "speed", value });
};
// After a click the keys control the world again; after keyboard use, focus stays where it is.
addEventListener("pointerup", () => setTimeout(() => {
  if (link && document.activeElement?.matches("button, input, summary, #timeline")) document.activeElement.blur();
}));

const mayStartFromPicture = () => Boolean(world?.can_start_from_picture && !world.records_to);
new OwnPicture({
  allowed: () => Boolean(link && status && mayStartFromPicture()), session: () => session, trouble: screen.toast,
  started() { begin(); showMore(false); controls?.restart(); },
});

// ---- what is folded away --------------------------------------------------------------------------------------

// On a phone everything but playing lies in a sheet.
function showMore(on) {
  document.body.classList.toggle("more-open", on);
  $("more").setAttribute("aria-expanded", String(on));
}
$("more").onclick = () => showMore(!document.body.classList.contains("more-open"));
$("stage").addEventListener("pointerdown", () => showMore(false));
rememberFolds(["measurements", "film"], () => { dirty = true; });
offerLink({ playing: () => Boolean(link && status), toast: screen.toast });

// On touch screens, buttons replace key names; on a laptop a touch screen is detected at the first touch.
function useTouch() {
  if (document.body.classList.contains("touch")) return;
  document.body.classList.add("touch");
  if (controls) showHow();
  screen.layOut();
}
if (matchMedia("(hover: none) and (pointer: coarse)").matches) useTouch();
addEventListener("pointerdown", (event) => event.pointerType === "touch" && useTouch());
