// A world that runs here: its graph, and the state that the graph leaves to its caller. As in play_onnx.py.

import { noise } from "./noise.js";

const bytes = (text) => Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0));
const floats = (text) => new Float32Array(bytes(text).buffer);

export class World {
  // ort: onnxruntime-web; graph: an inference session; about: json of the graph's metadata (worldling/export/graph.py).
  constructor(ort, graph, about) {
    Object.assign(this, { ort, graph, about });
    this.shapes = Object.fromEntries(graph.inputMetadata.map(({ name, shape }) => [name, shape]));
    this.memory = about.inputs.filter((name) => /^(key|value)\d+$/.test(name));
    this.cells = about.tokens * about.width;  // numbers that are remembered of a frame, in each part of the memory
  }

  // Return the state at start `number`: clip number modulo their count, seed divided by it; frame: its picture, RGB.
  async start(number) {
    const { about, shapes } = this, { starts } = about, clip = starts[number % starts.length];
    const state = {
      seed: Math.floor(number / starts.length), index: 0, given: {},
      stamp: new Int32Array(about.window + about.sinks).fill(-1),
    };
    for (const name of this.memory) state.given[name] = new Float32Array(size(shapes[name]));
    if (about.keypoints) state.given.points = new Float32Array(size(shapes.points));
    const frame = bytes(clip.frame), step = about.tokens * about.channels;
    if (about.warps) state.given.shown = frame;
    const latents = Float32Array.from(bytes(clip.latents), (level) => level * Math.fround(2 / (about.levels - 1)) - 1);
    const actions = floats(clip.actions), width = about.action_space.size;
    state.given.latent = state.given.previous = latents.slice(0, step);
    for (let t = 0; t + 1 < clip.count; t++) {
      await this.run(state, actions.slice(t * width, (t + 1) * width));
      [state.given.previous, state.given.latent] = [state.given.latent, latents.slice((t + 1) * step, (t + 2) * step)];
    }
    if (about.keypoints) state.given.points = floats(clip.points);
    return { state, frame, held: clip.held };
  }

  // Return the state of a world that was shown `picture`, RGB of one frame, standing still under `action`, and how much
  // worse than usual the picture could be encoded (1 is the worst of the clips to start from). encoder: its graph.
  async startFrom(encoder, picture, action, seed) {
    const { about, shapes } = this, side = about.size_px;
    const shown = new this.ort.Tensor("uint8", picture, [1, side, side, 3]);
    const { latent, frame, points } = await encoder.run({ picture: shown });
    const state = {
      seed, index: 0, given: { latent: latent.data, previous: latent.data },
      stamp: new Int32Array(about.window + about.sinks).fill(-1),
    };
    for (const name of this.memory) state.given[name] = new Float32Array(size(shapes[name]));
    if (about.keypoints) state.given.points = Float32Array.from([...points.data, ...points.data]);
    if (about.warps) state.given.shown = frame.data;
    for (let t = 0; t + 1 < about.starts[0].count; t++) await this.run(state, encode(about.action_space, action));
    const error = picture.reduce((sum, value, i) => sum + (value - frame.data[i]) ** 2, 0) / picture.length;
    return { state, unusual: error / Math.max(about.usual_error, 1) };
  }

  // Make the next frame of `state`, RGB, and move the state there. action: a raw one.
  async step(state, action) {
    const made = await this.run(state, encode(this.about.action_space, action)), { given } = state;
    [given.previous, given.latent] = [given.latent, made.next_latent];
    if (this.about.warps) given.shown = made.frame;
    if (this.about.keypoints) given.points = made.next_points;
    return made.frame;
  }

  // Run the graph, and put what is to be remembered of the current frame into its slot of the memory.
  async run(state, action) {
    const { window, sinks } = this.about, { given, stamp, index } = state;
    given.action = action;
    given.age = stamp.map((at) => (at < 0 ? window + 2 : Math.min(index - at, window + 1)));
    if ("noise" in this.shapes) given.noise = noise(state.seed, index, size(this.shapes.noise));
    const types = { age: "int32", shown: "uint8" };
    const fed = Object.fromEntries(this.about.inputs.map((name) =>
      [name, new this.ort.Tensor(types[name] ?? "float32", given[name], this.shapes[name])]));
    const found = await this.graph.run(fed), slot = index < sinks ? index : sinks + ((index - sinks) % window);
    const made = Object.fromEntries(Object.entries(found).map(([name, tensor]) => [name, tensor.data]));
    for (const name of this.memory) given[name].set(made[`new_${name}`], slot * this.cells);
    stamp[slot] = index;
    state.index += 1;
    return made;
  }
}

const size = (shape) => shape.reduce((product, n) => product * n, 1);

// Return a copy of a state that goes on by itself. Only the memory is ever written in place.
export function fork(state) {
  const given = Object.fromEntries(Object.entries(state.given).map(([name, data]) =>
    [name, /^(key|value)\d+$/.test(name) ? data.slice() : data]));
  return { ...state, given, stamp: state.stamp.slice() };
}

// Return a raw action as the network takes it: one-hot, or scaled to [-1, 1]. As `ActionSpace.encode` in types.py.
export function encode({ kind, nvec, low, high }, action) {
  if (kind === "none") return new Float32Array(1);
  if (kind === "box") {
    return Float32Array.from(low, (from, i) => {
      const held = Math.min(high[i], Math.max(from, action[i]));
      return ((held - from) / Math.max(high[i] - from, 1e-8)) * 2 - 1;
    });
  }
  if (kind === "multi_binary") return Float32Array.from(action, (on) => on * 2 - 1);
  return Float32Array.from([action].flat().flatMap((chosen, i) =>
    Array.from({ length: nvec[i] }, (_, n) => Number(n === chosen))));
}
