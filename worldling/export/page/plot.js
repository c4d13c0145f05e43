// A plot of two rows of numbers over time, as SVG.

const LEFT = 58, RIGHT = 670, TOP = 12, BOTTOM = 256;

// Return the values of a scale's marks: round numbers, at most `most` steps apart, which hold low and high.
export function marks(low, high, most = 5) {
  const rough = Math.max(high - low, 1e-6) / most, power = 10 ** Math.floor(Math.log10(rough));
  const step = [1, 2, 5, 10].map((n) => n * power).find((n) => n >= rough * (1 - 1e-9));
  const first = Math.floor(low / step + 1e-9), last = Math.ceil(high / step - 1e-9);
  return Array.from({ length: Math.max(1, last - first) + 1 }, (_, i) => Number(((first + i) * step).toPrecision(12)));
}

// Draw into `svg`. real, dream: numbers or null at each time; usual: how near the dream usually is; held: numbers that
// the scale must hold; seconds: of a step.
export function draw(svg, { real, dream, usual, held, seconds }) {
  const steps = usual.length - 1, all = [...held, ...real, ...dream].filter((value) => value != null);
  const levels = marks(Math.min(...all), Math.max(...all)), [low, high] = [levels[0], levels.at(-1)];
  const x = (t) => LEFT + (RIGHT - LEFT) * t / steps;
  const y = (value) => BOTTOM - (BOTTOM - TOP) * (value - low) / (high - low);
  const inside = (value) => y(Math.min(high, Math.max(low, value))).toFixed(1);
  const parts = [];
  for (const level of levels) {
    parts.push(`<line class="grid" x1="${LEFT}" x2="${RIGHT}" y1="${y(level)}" y2="${y(level)}"/>`,
      `<text x="${LEFT - 8}" y="${y(level) + 5}" text-anchor="end">${level}</text>`);
  }
  for (const time of marks(0, steps * seconds, 8).filter((time) => time <= steps * seconds + 1e-9)) {
    parts.push(`<text x="${x(time / seconds)}" y="${BOTTOM + 20}" text-anchor="middle">${time}</text>`);
  }
  parts.push(`<text x="${RIGHT}" y="${BOTTOM + 40}" text-anchor="end">time, s</text>`);
  const known = dream.flatMap((value, t) => (value == null ? [] : [[t, value]]));
  if (known.length > 1) {
    const edge = (sign) => known.map(([t, value]) => `${x(t).toFixed(1)},${inside(value + sign * usual[t])}`);
    parts.push(`<polygon class="near" points="${[...edge(1), ...edge(-1).reverse()].join(" ")}"/>`);
  }
  for (const [name, row] of [["real", real], ["dream", dream]]) {
    let path = "", pen = "M";
    row.forEach((value, t) => {
      if (value != null) path += `${pen}${x(t).toFixed(1)} ${y(value).toFixed(1)}`;
      pen = value == null ? "M" : "L";
    });
    if (path) parts.push(`<path class="series ${name}" d="${path}"/>`);
  }
  svg.innerHTML = parts.join("");
}
