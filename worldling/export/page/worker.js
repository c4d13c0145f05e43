// A session in a worker of the page: takes the messages that a server takes, and answers with the same ones
// (worldling/serve/messages.py). A frame carries pixels instead of a JPEG.

import { History } from "./history.js";
import { World } from "./world.js";

const MAX_IN_FLIGHT = 2, STATUS_EVERY_MS = 500, MADE_MS = 2000;
const same = (a, b) => JSON.stringify(a) === JSON.stringify(b);

let world, about, history, state, latest, start = 0;
let held, neutral, inputs = [];                    // [action, id] held now, the action of idle hands, those that wait
let paused = false, peeking = false, speed = 1, due = 0, timer = null, last = Promise.resolve();
let seq = 0, acked = 0, waiting = null;            // frames sent, and drawn; the newest that is not sent yet
let branches = [], numBranches = 0, made = [];
let runtime, encoder = null, ownPicture = null;    // the encoder is only built for who brings a picture

// Do one thing after the other: a message waits for the frame before it.
function queue(work) {
  last = last.then(work).catch((error) => {
    paused = true;  // or the same error would come with every frame
    postMessage({ type: "error", message: String(error.message ?? error) });
  });
}

onmessage = ({ data }) => {
  if (data.type === "ack") {
    acked = Math.max(acked, data.seq);
    return send();
  }
  if (data.type === "input") return hold(data);
  queue(async () => {
    await messages[data.type]?.(data);
    if (data.type !== "peek") status();
    schedule();
  });
};

const messages = {
  async open({ code, wasm, graph, about: said, replay }) {
    about = said;
    const ort = runtime = await import(URL.createObjectURL(new Blob([code], { type: "text/javascript" })));
    Object.assign(ort.env.wasm, { wasmBinary: wasm, numThreads: 1 });
    world = new World(ort, await ort.InferenceSession.create(graph, { executionProviders: ["wasm"] }), about);
    history = new History(about.fps);
    await begin(replay?.start ?? 0);
    for (const action of replay?.actions ?? []) {
      held = [action, 0];
      await advance();
    }
    paused = Boolean(replay);
    setInterval(status, STATUS_EVERY_MS);
  },
  pause({ on }) { paused = on; },
  async step() {
    [paused, peeking] = [true, false];
    await advance();
  },
  speed({ value }) { [speed, due] = [value, performance.now()]; },
  async reset({ start: number }) {
    await (number === null && ownPicture ? beginFrom(ownPicture) : begin(number ?? start));
    peeking = false;
  },
  async picture({ graph, picture }) {
    encoder ??= await runtime.InferenceSession.create(graph, { executionProviders: ["wasm"] });
    const unusual = await beginFrom(picture);
    [peeking, paused] = [false, false];
    postMessage({ type: "picture", unusual });
  },
  peek({ index }) {
    peeking = index !== null;
    show(peeking ? history.nearest(index) : latest, peeking);
  },
  branch: ({ index }) => branch(index),
  rewind: ({ frames }) => branch(history.newest - frames),
  async return({ branch: id }) {
    const at = history.others.find((other) => other.id === id)?.at;
    await goOn(history.goTo(id), at);
  },
  film({ frames }) { postMessage({ type: "film", frames: history.last(frames).map(({ rgba }) => rgba) }); },
  share() { postMessage({ type: "share", start, actions: history.actions, ownPicture: Boolean(ownPicture) }); },
};

// Hold a raw action from the next frame on. A key pressed and released between two frames still acts for one frame.
function hold({ action, id }) {
  const isRelease = same(action, neutral) || same(action, held[0]);
  inputs = [...(isRelease ? inputs.slice(0, 1) : []), [action, id]];
}

async function begin(number) {
  const begun = await world.start(number);
  [start, state, neutral, inputs] = [number, begun.state, about.pointer ? begun.held : about.action_space.noop, []];
  [held, branches, numBranches, ownPicture] = [[neutral, 0], [], 0, null];
  history.clear();
  keep({ index: 0, rgba: cut(begun.frame), action: null, inputId: 0 });
}

// Begin from a frame of the player's own, RGB.
async function beginFrom(picture) {
  const idle = about.pointer ? about.starts[start % about.starts.length].held : about.action_space.noop;
  const begun = await world.startFrom(encoder, picture, idle, Math.floor(start / about.starts.length));
  [state, neutral, inputs, ownPicture] = [begun.state, idle, [], picture];
  [held, branches, numBranches] = [[idle, 0], [], 0];
  history.clear();
  keep({ index: 0, rgba: cut(picture), action: null, inputId: 0 });
  return begun.unusual;
}

async function advance() {
  if (inputs.length) held = inputs.shift();
  const [action, inputId] = held, frame = await world.step(state, action);
  keep({ index: latest.index + 1, rgba: cut(frame), action, inputId });
  made.push(performance.now());
}

function keep(frame) {
  latest = frame;
  history.add(state, frame);
  show(frame, false);
}

async function branch(index) {
  peeking = false;
  const at = Math.min(history.newest, Math.max(history.oldest, index));
  if (at === history.newest) return show(latest, false);
  await goOn(history.branch(at), at);
}

// Go on after a frame that is stored; at: the last one that is shared with what is left.
async function goOn({ frame, state: from, actions }, at) {
  for (const action of actions) await world.step(from, action);
  [state, latest, numBranches, peeking] = [from, frame, numBranches + 1, false];
  branches = [...branches.filter((mark) => mark < at && mark >= history.oldest), at];
  show(frame, false);
}

// Make a frame when it is due. After a late one there is no burst to catch up.
function schedule() {
  clearTimeout(timer);
  if (paused || peeking || !latest) return;
  const now = performance.now();
  due = Math.max(now, speed === null ? now : due + 1000 / (about.fps * speed));
  timer = setTimeout(() => queue(async () => {
    if (paused || peeking) return;
    await advance();
    schedule();
  }), due - now);
}

function show(frame, isPeek) {
  waiting = { ...frame, isPeek };
  send();
}

function send() {
  if (!waiting || seq - acked >= MAX_IN_FLIGHT) return;
  const { rgba, isPeek, index, inputId } = waiting;
  [waiting, seq] = [null, seq + 1];
  postMessage({ type: "frame", rgba, isPeek, index, inputId, seq, numBranches });
}

function status() {
  const since = performance.now() - MADE_MS;
  made = made.filter((at) => at > since);
  const fps = made.length > 1 ? (made.length - 1) / ((made.at(-1) - made[0]) / 1000) : 0;
  postMessage({
    type: "status", fps_made: Math.round(fps * 10) / 10, latency_ms: null, dropped: 0, paused, speed, start, branches,
    oldest: history.oldest, newest: history.newest, num_branches: numBranches, others: history.others, score: null,
    over: false, own_picture: Boolean(ownPicture), held: (inputs.at(-1) ?? held)[0],
    recording: false, recorded: 0, note: "",
  });
}

// The part of a frame that is shown, RGB to RGBA.
function cut(frame) {
  const [left, top, width, height] = about.picture, rgba = new Uint8ClampedArray(4 * width * height).fill(255);
  for (let y = 0, to = 0; y < height; y++) {
    for (let x = 0, from = 3 * ((y + top) * about.size_px + left); x < width; x++, from += 3, to += 4) {
      rgba[to] = frame[from];
      rgba[to + 1] = frame[from + 1];
      rgba[to + 2] = frame[from + 2];
    }
  }
  return rgba;
}
