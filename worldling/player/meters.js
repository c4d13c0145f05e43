// Measurements: frame rates and latency of this session, folded away until they are asked for.

const $ = (id) => document.getElementById(id);
const format = (number) => (number < 9.95 ? number.toFixed(1) : String(Math.round(number)));

export class Meters {
  constructor() {
    Object.assign(this, { drawn: [], inputs: [], latencies: [] });
  }

  // An input was sent.
  sent(id) { this.inputs.push({ id, at: performance.now() }); }

  // Time spent paused or looking at stored frames is not latency.
  forgetInputs() { this.inputs = []; }

  // A frame was drawn that includes the inputs up to `inputId`.
  drew(inputId) {
    const now = performance.now();
    this.drawn.push(now);
    while (this.inputs.length && this.inputs[0].id <= inputId) this.latencies.push(now - this.inputs.shift().at);
    this.latencies = this.latencies.slice(-200);
  }

  show(framesMade) {
    const since = performance.now() - 2000;
    this.drawn = this.drawn.filter((at) => at > since);
    const span = (this.drawn.at(-1) - this.drawn[0]) / 1000;
    $("hud-made").textContent = framesMade ? format(framesMade) : "–";
    $("hud-shown").textContent = this.drawn.length > 1 ? format((this.drawn.length - 1) / span) : "–";
    const ordered = [...this.latencies].sort((a, b) => a - b);
    for (const [name, q] of [["p50", 0.5], ["p95", 0.95]]) {
      const at = Math.min(ordered.length - 1, Math.floor(q * ordered.length));
      $(`hud-${name}`).textContent = ordered.length ? format(ordered[at]) : "–";
    }
  }
}

// Remember which parts are open, where the browser allows it.
export function rememberFolds(ids, onToggle) {
  for (const id of ids) {
    try { $(id).open = localStorage.getItem(`worldling.${id}`) === "open"; } catch { /* no storage: closed */ }
    $(id).addEventListener("toggle", () => {
      try { localStorage.setItem(`worldling.${id}`, $(id).open ? "open" : "closed"); } catch { /* as above */ }
      onToggle();
    });
  }
}
