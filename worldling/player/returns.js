// The branches that were left: a line above the timeline for each, and a list of buttons, the latest first.

const NUM_BUTTONS = 3, NUM_ROWS = 2;
const make = (tag, text = "", properties = {}) =>
  Object.assign(document.createElement(tag), { textContent: text }, properties);

export class Returns {
  // lines, list, hint: elements, the hint being shown while nothing was left; on(other) returns to a branch.
  constructor({ lines, list, hint }, timeline, fps, on) {
    Object.assign(this, { lines, list, hint, timeline, fps, on, others: [], shown: "" });
    this.update([]);
  }

  // others: [{id, at, newest}], as in the status message.
  update(others) {
    this.others = [...others].sort((a, b) => b.id - a.id);
    const shown = JSON.stringify(this.others);
    if (shown === this.shown) return;
    this.shown = shown;
    this.hint.hidden = others.length > 0;
    this.list.replaceChildren(...this.others.slice(0, NUM_BUTTONS).map((other, i) => {
      const item = make("li"), button = make("button", "", { type: "button" });
      button.append(make("span", i ? "↶" : "↶ Return to what you left"), make("small", this.span(other)));
      if (i) button.setAttribute("aria-label", `Return to what you left ${this.span(other)}`);
      button.onclick = () => this.on(other);
      item.append(button);
      return item;
    }));
    this.bars = this.others.map((other, i) => {
      const bar = make("button", "", { type: "button", tabIndex: -1, className: "line" });
      bar.title = `Return to what you left ${this.span(other)}`;
      bar.setAttribute("aria-hidden", "true");  // the list has the same
      bar.style.top = `${50 * (NUM_ROWS - 1 - (i % NUM_ROWS))}%`;
      bar.onclick = () => this.on(other);
      return bar;
    });
    this.lines.replaceChildren(...this.bars);
    this.place();
  }

  span({ at, newest }) {
    return `at ${(at / this.fps).toFixed(1)} s, ${((newest - at) / this.fps).toFixed(1)} s long`;
  }

  // Move the lines with the timeline.
  place() {
    this.others.forEach(({ at, newest }, i) => {
      const left = Math.max(0, this.timeline.x(at)), right = Math.min(1, this.timeline.x(newest));
      this.bars[i].hidden = right <= 0;
      this.bars[i].style.left = `min(${100 * left}%, calc(100% - 16px))`;  // one that was just left lies at the edge
      this.bars[i].style.width = `max(${100 * (right - left)}%, 16px)`;
    });
  }
}
