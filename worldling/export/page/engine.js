// Where frames are made: here, in a worker of this page. The server's page has another engine.js with the same exports.
// What is played lies in `worldlingParts`, which the page's scripts have filled (worldling/export/bundle.py).

import { GIFEncoder, applyPalette, quantize } from "./gifenc.js";

const parts = globalThis.worldlingParts, about = parts.about && JSON.parse(parts.about);

export const DRIFT = 4, LOADING = 2, OVER = 8, PEEK = 1;  // flags of a frame, as in link.js
// The page with all worlds, null without one; the address of a world.
export const HOME = parts.home ?? null;
export const address = (id) => `${encodeURIComponent(id)}.html`;
export const FILMS = ["gif"];
export const UNREACHABLE = "Load the page again.";

const DIGITS = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz!#$%&()*+-;.=>?@^_`{|}~";
const UNUSUAL = 15;  // a picture that is encoded so many times worse than any clip to start from is unlike the world
let open = null;  // the link of the world that is played

// The bytes of a part: their number and base 85 of gzip, as `_text` in worldling/export/bundle.py writes them.
async function unpacked(name) {
  const text = parts[name], from = text.indexOf(" ") + 1, bytes = new Uint8Array(4 * (text.length - from) / 5);
  const values = new Uint8Array(128), view = new DataView(bytes.buffer);
  for (let i = 0; i < 85; i++) values[DIGITS.charCodeAt(i)] = i;
  for (let i = from, to = 0; i < text.length; i += 5, to += 4) {
    let word = 0;
    for (let j = i; j < i + 5; j++) word = word * 85 + values[text.charCodeAt(j)];
    view.setUint32(to, word);
  }
  const stream = new Blob([bytes.subarray(0, parseInt(text))]).stream().pipeThrough(new DecompressionStream("gzip"));
  const whole = await new Response(stream).arrayBuffer().catch(() => {
    throw new Error("This file was damaged on its way here. Get it again.");
  });
  return new Uint8Array(whole);
}

// Undo `_planes` of bundle.py.
function joined(planes) {
  const half = Math.ceil(planes.length / 2), bytes = new Uint8Array(planes.length);
  for (let i = 0; i < planes.length; i++) bytes[i] = planes[(i % 2 ? half : 0) + (i >> 1)];
  return bytes;
}

export async function worlds() {
  return parts.gallery ? { chosen: null, worlds: parts.gallery } : { chosen: about.id, worlds: [about] };
}

// Start from a picture. Throws an error of one line; returns a line if the world knows nothing like it.
export async function startFrom(_, file) {
  const picture = await createImageBitmap(file).catch(() => {
    throw new Error("The browser cannot read this picture. Take a PNG or JPEG file.");
  });
  const graph = joined(await unpacked("encoder"));
  const { unusual } = await open.ask("picture", { graph, picture: framed(picture) });
  return unusual > UNUSUAL ? "This world has seen nothing like that picture: what follows says little." : "";
}

// The middle of a picture as a frame of the world, RGB. As `Picture.fill` in worldling/data/fit.py.
function framed(picture) {
  const side = about.size_px, [left, top, width, height] = about.picture;
  const { width: across, height: down } = picture, { aspect } = about;
  const kept = [Math.min(across, down * aspect), Math.min(down, across / aspect)];
  const from = [(across - kept[0]) / 2, (down - kept[1]) / 2];
  const context = new OffscreenCanvas(side, side).getContext("2d", { willReadFrequently: true });
  context.fillRect(0, 0, side, side);
  context.imageSmoothingQuality = "high";
  context.drawImage(picture, ...from, ...kept, left, top, width, height);
  const { data } = context.getImageData(0, 0, side, side);
  return Uint8Array.from({ length: 3 * side * side }, (_, i) => data[4 * Math.floor(i / 3) + (i % 3)]);
}

// What is played, as a text for the address: the digest of the world, the start, and each action with its count.
export async function shared() {
  const { start, actions, ownPicture } = await open.ask("share", {}), runs = [];
  if (ownPicture) throw new Error("A link holds no picture of your own. Reset to a start of the world first.");
  for (const action of actions) {
    const last = runs.at(-1);
    if (last && JSON.stringify(last[1]) === JSON.stringify(action)) last[0] += 1;
    else runs.push([1, action]);
  }
  const text = JSON.stringify([about.digest, start, runs]);
  const stream = new Blob([text]).stream().pipeThrough(new CompressionStream("deflate-raw"));
  const bytes = new Uint8Array(await new Response(stream).arrayBuffer());
  const letters = btoa(Array.from(bytes, (byte) => String.fromCharCode(byte)).join(""));
  return letters.replaceAll("+", "-").replaceAll("/", "_").replaceAll("=", "");
}

// Undo `shared`. Throws an error of one line.
async function readShared(text) {
  let digest, start, runs;
  try {
    const bytes = Uint8Array.from(atob(text.replaceAll("-", "+").replaceAll("_", "/")), (c) => c.charCodeAt(0));
    const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("deflate-raw"));
    [digest, start, runs] = JSON.parse(await new Response(stream).text());
  } catch {
    throw new Error("The link is cut short. Copy all of it.");
  }
  if (digest !== about.digest) throw new Error("The link belongs to another version of this world.");
  return { start, actions: runs.flatMap(([count, action]) => Array(count).fill(action)) };
}

// Return {blob, name} of a film of the last `seconds`.
export async function film(_, kind, seconds) {
  const { frames } = await open.ask("film", { frames: Math.round(seconds * about.fps) });
  const [width, height] = about.picture_px, encoder = GIFEncoder(), zoom = Math.max(1, Math.floor(256 / height));
  for (const rgba of frames) {
    const palette = quantize(rgba, 256), index = applyPalette(rgba, palette);
    encoder.writeFrame(enlarged(index, width, height, zoom), width * zoom, height * zoom,
      { palette, delay: Math.round(1000 / about.fps) });
  }
  encoder.finish();
  return { blob: new Blob([encoder.bytes()], { type: "image/gif" }), name: `${about.name}.gif` };
}

function enlarged(index, width, height, zoom) {
  const large = new Uint8Array(width * height * zoom * zoom);
  for (let y = 0, to = 0; y < height * zoom; y++) {
    for (let x = 0; x < width * zoom; x++, to++) large[to] = index[Math.floor(y / zoom) * width + Math.floor(x / zoom)];
  }
  return large;
}

// A session, as `Link` of link.js.
export class Link {
  constructor(world, on) {
    Object.assign(this, { on, asked: new Map(), socket: this });
    open = this;
    this.begin().catch((error) => {
      on.message({ type: "error", message: error.message });
      on.down(Infinity);
    });
  }

  async begin() {
    this.on.up();
    const url = URL.createObjectURL(new Blob([parts.worker], { type: "text/javascript" }));
    const worker = this.worker = new Worker(url);
    worker.onmessage = ({ data }) => this.receive(data);
    worker.onerror = (event) => this.on.message({ type: "error", message: `The world failed: ${event.message}.` });
    const shared = /^#play=(.*)/.exec(location.hash)?.[1];
    const replay = shared ? await readShared(shared) : null;
    const code = new TextDecoder().decode(await unpacked("runtime"));
    const [wasm, graph] = [await unpacked("wasm"), joined(await unpacked("graph"))];
    this.on.message({ type: "welcome", session: about.id, world: about });
    worker.postMessage({ type: "open", code, wasm, graph, about, replay }, [wasm.buffer, graph.buffer]);
  }

  receive(data) {
    if (data.type === "frame") {
      const [width, height] = about.picture_px;
      return this.on.frame({
        ...data, flags: data.isPeek ? PEEK : 0, mse: NaN, score: NaN, real: null,
        dream: new ImageData(data.rgba, width, height),
      });
    }
    if (this.asked.has(data.type)) {
      this.asked.get(data.type)(data);
      this.asked.delete(data.type);
    } else this.on.message(data);
  }

  // Ask the worker for something that it answers with a message of the same type.
  ask(type, message) {
    return new Promise((resolve) => { this.asked.set(type, resolve); this.send({ type, ...message }); });
  }

  send(message) { this.worker?.postMessage(message); }

  close() { this.worker?.terminate(); }
}
