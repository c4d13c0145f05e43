// Everything a person can hold (keys, pads on the page, gamepad, pointer), as the raw action that is held.

import { makeScheme } from "./schemes.js";

const WORDS = {
  ArrowUp: "up", KeyW: "up", ArrowDown: "down", KeyS: "down", ArrowLeft: "left", KeyA: "left",
  ArrowRight: "right", KeyD: "right", KeyF: "fire", Enter: "fire",
};
const DEAD_ZONE = 0.18;
const NUDGE_PER_S = 0.6;  // of the picture's width
const PAD_COMMANDS = { 9: "pause", 8: "reset", 4: "rewind", 5: "step" };

export class Controls {
  // send(action) is called whenever the held action changes; command(name, down) for gamepad buttons.
  constructor(world, { legend, canvas, marker, send, command }) {
    this.space = world.action_space;
    this.scheme = makeScheme(this.space, world.pointer);
    Object.assign(this, { canvas, marker, send, command, pointer: world.pointer });
    this.held = [];        // words, newest first
    this.toggled = new Set();
    this.analog = {};      // word -> 0..1, from the gamepad
    this.padButtons = {};
    this.sliders = {};
    this.picked = this.scheme.choices.map(() => 0);
    this.target = null;    // place of the pointer in the picture, 0..1
    this.touched = false;
    this.sent = "";
    this.listening = new AbortController();
    this.buttons = new Map();
    this.draw(legend);
    if (this.pointer) this.followPointer();
  }

  close() { this.listening.abort(); }

  // The key of a word goes down or up. Returns whether it means anything here.
  key(event, down) {
    const digit = /^(?:Digit|Numpad)(\d)$/.exec(event.code)?.[1];
    if (digit && this.picked.length) {
      if (down && !event.repeat) this.pick(Number(digit) - 1);
      return true;
    }
    const word = digit ? `#${event.shiftKey ? "-" : ""}${digit}` : WORDS[event.code];
    if (!word) return false;
    if (down) this.press(word);
    else this.release(...(digit ? [`#${digit}`, `#-${digit}`] : [word]));
    return true;
  }

  press(word) {
    if (!this.held.includes(word)) this.held.unshift(word);
    this.update();
  }

  release(...words) {
    this.held = this.held.filter((word) => !words.includes(word));
    this.update();
  }

  releaseAll() {
    this.held = [];
    this.update();
  }

  // Tell the server again what is held, as after a reset, when it holds nothing.
  again() {
    this.sent = "";
    if (this.held.length || this.toggled.size || Object.keys(this.sliders).length || this.touched) this.update();
  }

  // After a start the target is where the world's own context left it, until the player points.
  rest(action) {
    if (!this.pointer || this.touched) return;
    const { low, high } = this.space;
    this.target = action.map((value, i) => (value - low[i]) / (high[i] - low[i]));
    this.showTarget();
  }

  restart() {
    this.touched = false;
    this.again();
  }

  strength(word) {
    return this.held.includes(word) || this.toggled.has(word) ? 1 : this.analog[word] ?? 0;
  }

  // Once per drawn frame of the page: read the gamepad, nudge the target.
  poll(seconds) {
    this.readGamepad();
    const x = this.strength("right") - this.strength("left"), y = this.strength("down") - this.strength("up");
    if (this.pointer && this.target && (x || y)) {
      this.aim(this.target[0] + x * NUDGE_PER_S * seconds, this.target[1] + y * NUDGE_PER_S * seconds);
    } else this.update();
  }

  update() {
    for (const [word, button] of this.buttons) button.classList.toggle("down", this.strength(word) > 0.5);
    const pushed = Object.keys(this.analog).filter((word) => this.analog[word] > 0.5 && !this.held.includes(word));
    const action = this.pointer && !this.touched ? null : this.scheme.action({
      strength: (word) => this.strength(word), recent: [...this.held, ...pushed],
      target: this.target, sliders: this.sliders, picked: this.picked,
    });
    const text = JSON.stringify(action);
    if (action === null || text === this.sent || this.space.kind === "none") return;
    const first = this.sent === "";
    this.sent = text;
    // Nothing held and nothing said yet: the server rests by itself.
    if (!first || this.touched || this.held.length || pushed.length || this.toggled.size || Object.keys(this.sliders).length
        || this.picked.some(Boolean)) this.send(action);
  }

  aim(x, y) {
    this.touched = true;
    this.target = [x, y].map((part) => Math.min(1, Math.max(0, part)));
    this.showTarget();
    this.update();
  }

  showTarget() {
    this.marker.hidden = false;
    this.marker.style.left = `${this.target[0] * 100}%`;
    this.marker.style.top = `${this.target[1] * 100}%`;
  }

  followPointer() {
    const aim = (event) => {
      const box = this.canvas.getBoundingClientRect();
      this.aim((event.clientX - box.left) / box.width, (event.clientY - box.top) / box.height);
    };
    const options = { signal: this.listening.signal };
    this.canvas.classList.add("pointing");
    this.canvas.addEventListener("pointermove", aim, options);
    this.canvas.addEventListener("pointerdown", (event) => {
      this.canvas.setPointerCapture(event.pointerId);
      aim(event);
    }, options);
  }

  readGamepad() {
    const pads = [...(navigator.getGamepads?.() ?? [])].filter((pad) => pad?.connected);
    const pad = pads.find((pad) => pad.mapping === "standard") ?? pads[0] ?? { axes: [], buttons: [] };  // gone: lets go of all
    const stick = (value = 0) => (Math.abs(value) < DEAD_ZONE ? 0 : value);
    const x = stick(pad.axes[0]), y = stick(pad.axes[1]), button = (i) => pad.buttons[i]?.value ?? 0;
    this.analog = {
      right: Math.max(x, button(15)), left: Math.max(-x, button(14)),
      up: Math.max(-y, button(12), button(7)), down: Math.max(y, button(13), button(6)), fire: button(0),
    };
    for (const [i, name] of Object.entries(PAD_COMMANDS)) {
      const down = button(i) > 0.5;
      if (down !== Boolean(this.padButtons[i])) this.command(name, down);
      this.padButtons[i] = down;
    }
  }

  pick(part) {
    if (!(part in this.picked)) return;
    this.picked[part] = (this.picked[part] + 1) % this.scheme.choices[part].count;
    this.pickers[part].textContent = this.picked[part];
    this.update();
  }

  draw(legend) {
    const make = (tag, text = "", properties = {}) => Object.assign(document.createElement(tag), { textContent: text }, properties);
    legend.replaceChildren();
    const pads = make("div", "", { className: "pads" });
    for (const pad of this.scheme.pads) {
      const button = make("button", "", { type: "button" });
      const keys = make("span", "", { className: "keys" });
      keys.append(...pad.keys.slice(0, pad.label.length > 9 ? 1 : 2).map((key) => make("kbd", key)));
      button.dataset.word = pad.word;
      button.append(make("span", pad.label), keys);
      this.holdWith(button, pad);
      this.buttons.set(pad.word, button);
      pads.append(button);
    }
    this.pickers = this.scheme.choices.map(({ name }, part) => {
      const button = make("button", "", { type: "button" }), value = make("output", "0");
      button.append(make("span", name), value, make("kbd", String(part + 1)));
      button.onclick = () => this.pick(part);
      pads.append(button);
      return value;
    });
    if (pads.children.length) legend.append(pads);
    for (const { i, name, low, high, rest } of this.scheme.axes) {
      const row = make("label", "", { className: "axis" }), value = make("output", rest.toFixed(2));
      const slider = make("input", "", { type: "range", min: low, max: high, step: (high - low) / 200 });
      slider.value = rest;
      slider.oninput = () => {
        this.sliders[i] = Number(slider.value);
        value.textContent = this.sliders[i].toFixed(2);
        this.update();
      };
      row.append(make("span", name), slider, value);
      legend.append(row);
    }
    if (this.scheme.note) legend.append(make("p", this.scheme.note));
    if (navigator.getGamepads) legend.append(make("p", "Gamepad: stick or cross, A, triggers. Start pauses.", { className: "gamepad" }));
  }

  holdWith(button, { word, toggle }) {
    if (toggle) {
      button.setAttribute("aria-pressed", "false");
      button.onclick = () => {
        this.toggled[this.toggled.has(word) ? "delete" : "add"](word);
        button.setAttribute("aria-pressed", String(this.toggled.has(word)));
        this.update();
      };
      return;
    }
    button.onpointerdown = (event) => {
      button.setPointerCapture(event.pointerId);
      this.press(word);
    };
    button.onlostpointercapture = () => this.release(word);
    button.oncontextmenu = (event) => event.preventDefault();
    button.onclick = (event) => {
      if (event.detail) return;  // from a pointer, which was held already
      this.press(word);          // from the keyboard: one tap, which the server keeps for one frame
      this.release(word);
    };
  }
}
