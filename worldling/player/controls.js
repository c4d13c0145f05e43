// Input from keys, buttons on the page, gamepad and pointer, as the raw action that is held.

import { makeScheme } from "./schemes.js";

const KEY_CONTROLS = {
  ArrowUp: "up", KeyW: "up", ArrowDown: "down", KeyS: "down", ArrowLeft: "left", KeyA: "left",
  ArrowRight: "right", KeyD: "right", KeyF: "fire", Enter: "fire",
};
const DEAD_ZONE = 0.18;
const TARGET_SPEED = 0.6;  // picture widths per second
const GAMEPAD_COMMANDS = { 9: "pause", 8: "reset", 4: "rewind", 5: "step" };

const make = (tag, text = "", properties = {}) =>
  Object.assign(document.createElement(tag), { textContent: text }, properties);

export class Controls {
  // legend, pads: where hints and sliders, and where buttons are drawn; send(action) is called whenever the held
  // action changes; command(name, down) for gamepad buttons.
  constructor(world, { legend, pads, canvas, marker, send, command }) {
    this.space = world.action_space;
    this.scheme = makeScheme(this.space, world.pointer);
    Object.assign(this, { canvas, marker, send, command, pointer: world.pointer });
    this.held = [];        // controls held, newest first
    this.toggled = new Set();
    this.analog = {};      // control -> 0..1, from the gamepad
    this.padButtons = {};
    this.sliders = {};
    this.picked = this.scheme.choices.map(() => 0);
    this.target = null;    // pointer position in the picture, 0..1
    this.touched = false;
    this.sent = "";
    this.listeners = new AbortController();
    this.buttons = new Map();
    this.thumbs = new Map();  // pointer on a pad -> the control it holds
    this.draw(legend);
    this.drawPads(pads);
    if (this.pointer) this.followPointer();
  }

  close() { this.listeners.abort(); }

  // A key was pressed or released. Returns whether it belongs to a control.
  key(event, down) {
    const digit = /^(?:Digit|Numpad)(\d)$/.exec(event.code)?.[1];
    if (digit && this.picked.length) {
      if (down && !event.repeat) this.pick(Number(digit) - 1);
      return true;
    }
    const control = digit ? `#${event.shiftKey ? "-" : ""}${digit}` : KEY_CONTROLS[event.code];
    if (!control) return false;
    if (down) this.press(control);
    else this.release(...(digit ? [`#${digit}`, `#-${digit}`] : [control]));
    return true;
  }

  press(control) {
    if (!this.held.includes(control)) this.held.unshift(control);
    this.update();
  }

  release(...controls) {
    this.held = this.held.filter((control) => !controls.includes(control));
    this.update();
  }

  releaseAll() {
    this.held = [];
    this.thumbs.clear();
    this.update();
  }

  // Send the held action again: after a reset the server holds none.
  resend() {
    this.sent = "";
    if (this.held.length || this.toggled.size || Object.keys(this.sliders).length || this.touched) this.update();
  }

  // After a start the target is where the context left it, until the player moves it.
  setNeutral(action) {
    if (!this.pointer || this.touched) return;
    const { low, high } = this.space;
    this.target = action.map((value, i) => (value - low[i]) / (high[i] - low[i]));
    this.showTarget();
  }

  restart() {
    this.touched = false;
    this.resend();
  }

  strength(control) {
    return this.held.includes(control) || this.toggled.has(control) ? 1 : this.analog[control] ?? 0;
  }

  // Once per animation frame: read the gamepad, move the target.
  poll(seconds) {
    this.readGamepad();
    const x = this.strength("right") - this.strength("left"), y = this.strength("down") - this.strength("up");
    if (this.pointer && this.target && (x || y)) {
      this.aim(this.target[0] + x * TARGET_SPEED * seconds, this.target[1] + y * TARGET_SPEED * seconds);
    } else this.update();
  }

  update() {
    for (const [control, button] of this.buttons) button.classList.toggle("down", this.strength(control) > 0.5);
    const isPushed = (control) => this.analog[control] > 0.5 && !this.held.includes(control);
    const pushed = Object.keys(this.analog).filter(isPushed);
    const action = this.pointer && !this.touched ? null : this.scheme.action({
      strength: (control) => this.strength(control), recent: [...this.held, ...pushed],
      target: this.target, sliders: this.sliders, picked: this.picked,
    });
    const text = JSON.stringify(action);
    if (action === null || text === this.sent || this.space.kind === "none") return;
    const first = this.sent === "";
    this.sent = text;
    // Nothing held and nothing sent yet: the server uses the neutral action by default.
    if (!first || this.touched || this.held.length || pushed.length || this.toggled.size
        || Object.keys(this.sliders).length || this.picked.some(Boolean)) this.send(action);
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
    const options = { signal: this.listeners.signal };
    this.canvas.classList.add("pointing");
    this.canvas.addEventListener("pointermove", aim, options);
    this.canvas.addEventListener("pointerdown", (event) => {
      this.canvas.setPointerCapture(event.pointerId);
      aim(event);
    }, options);
  }

  readGamepad() {
    const pads = [...(navigator.getGamepads?.() ?? [])].filter((pad) => pad?.connected);
    const none = { axes: [], buttons: [] };  // after a disconnect: releases all
    const pad = pads.find((pad) => pad.mapping === "standard") ?? pads[0] ?? none;
    const stick = (value = 0) => (Math.abs(value) < DEAD_ZONE ? 0 : value);
    const x = stick(pad.axes[0]), y = stick(pad.axes[1]), button = (i) => pad.buttons[i]?.value ?? 0;
    this.analog = {
      right: Math.max(x, button(15)), left: Math.max(-x, button(14)),
      up: Math.max(-y, button(12), button(7)), down: Math.max(y, button(13), button(6)), fire: button(0),
    };
    for (const [i, name] of Object.entries(GAMEPAD_COMMANDS)) {
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
    legend.replaceChildren();
    for (const { keys, text, touch } of this.scheme.hints) {
      const line = make("p", "", { className: touch ? "hints" : "hints with-keys" });
      line.append(...keys.map((key) => make("kbd", key)), make("span", text, { className: "with-keys" }));
      if (touch) line.append(make("span", touch, { className: "with-touch" }));
      legend.append(line);
    }
    this.pickers = this.scheme.choices.map(({ name }, part) => {
      const button = make("button", "", { type: "button", className: "picker" }), value = make("output", "0");
      button.append(make("span", name), value, make("kbd", String(part + 1)));
      button.onclick = () => this.pick(part);
      legend.append(button);
      return value;
    });
    for (const { i, name, low, high, neutral } of this.scheme.axes) {
      const row = make("label", "", { className: "axis" }), value = make("output", neutral.toFixed(2));
      const slider = make("input", "", { type: "range", min: low, max: high, step: (high - low) / 200 });
      slider.value = neutral;
      slider.oninput = () => {
        this.sliders[i] = Number(slider.value);
        value.textContent = this.sliders[i].toFixed(2);
        this.update();
      };
      row.append(make("span", name), slider, value);
      legend.append(row);
    }
    if (this.scheme.note) legend.append(make("p", this.scheme.note));
    const help = make("p", "Gamepad: stick or D-pad, A, triggers. The Start button pauses.", { hidden: true });
    addEventListener("gamepadconnected", () => { help.hidden = false; }, { signal: this.listeners.signal });
    legend.append(help);
  }

  // A group of buttons for each thumb.
  drawPads(pads) {
    const groups = ["left", "right"].map((thumb) => {
      const entries = this.scheme.buttons.filter((entry) => entry.thumb === thumb);
      const group = make("div", "", { className: "pad" });
      group.dataset.thumb = thumb;
      group.classList.toggle("cross", entries.some(({ control }) => ["up", "down"].includes(control))
        && entries.some(({ control }) => ["left", "right"].includes(control)));
      group.classList.toggle("many", entries.length > 4);
      group.append(...entries.map((entry) => this.makeButton(entry)));
      this.followThumbs(group);
      return group;
    });
    pads.replaceChildren(...groups.filter((group) => group.children.length));
    pads.hidden = !pads.children.length;
  }

  makeButton({ control, label, keys, toggle }) {
    const button = make("button", "", { type: "button" }), shown = make("span", "", { className: "keys" });
    shown.append(...keys.slice(0, label.length > 11 ? 1 : 2).map((key) => make("kbd", key)));
    button.dataset.control = control;
    button.append(make("span", label), shown);
    this.buttons.set(control, button);
    if (toggle) button.setAttribute("aria-pressed", "false");
    button.oncontextmenu = (event) => event.preventDefault();
    button.onclick = (event) => {
      if (toggle) {
        this.toggled[this.toggled.has(control) ? "delete" : "add"](control);
        button.setAttribute("aria-pressed", String(this.toggled.has(control)));
        this.update();
      } else if (!event.detail) {  // the keyboard: the server holds it for one frame. A pointer is followed below.
        this.press(control);
        this.release(control);
      }
    };
    return button;
  }

  // A pointer holds the button it is on, and may slide from one to the next.
  followThumbs(group) {
    const under = ({ clientX: x, clientY: y }) => [...group.children].find((button) => {
      const box = button.getBoundingClientRect();
      return x >= box.left && x < box.right && y >= box.top && y < box.bottom;
    });
    const hold = (pointer, control) => {
      const before = this.thumbs.get(pointer);
      if (before === control) return;
      if (control) this.thumbs.set(pointer, control);
      else this.thumbs.delete(pointer);
      const stillHeld = [...this.thumbs.values()].includes(before);
      if (control && !this.held.includes(control)) this.held.unshift(control);
      if (before && !stillHeld) this.release(before);
      else this.update();
    };
    const controlUnder = (event) => {
      const button = under(event);
      return button && !button.hasAttribute("aria-pressed") ? button.dataset.control : undefined;
    };
    group.onpointerdown = (event) => {
      if (event.button || !controlUnder(event)) return;
      group.setPointerCapture(event.pointerId);
      hold(event.pointerId, controlUnder(event));
    };
    group.onpointermove = (event) => {
      // Between two buttons the last one stays held.
      if (this.thumbs.has(event.pointerId) && controlUnder(event)) hold(event.pointerId, controlUnder(event));
    };
    group.onlostpointercapture = (event) => hold(event.pointerId, undefined);
  }
}
