// What is measured in a picture: where a coloured thing is, and a quantity over time. As worldling/scenes/seen.py and
// worldling/export/lesson.py do it.

const SEEN = 2 / 64 ** 2, GRAVITY = 9.81;

// How red or yellow a pixel is, 0 to 1.
const cover = {
  red: (r, g, b) => (r - Math.max(g, b)) / Math.max(r, 60),
  yellow: (r, g, b) => (Math.min(r, g) - b) / Math.max(Math.min(r, g), 60),
};

// Return the centre of a thing in RGBA pixels, in shares of the picture, or null where nothing of it is seen.
export function centre(thing, { data, width, height }) {
  let area = 0, x = 0, y = 0;
  for (let i = 0, from = 0; i < width * height; i++, from += 4) {
    const share = Math.min(1, Math.max(0, (cover[thing](data[from], data[from + 1], data[from + 2]) - .35) / .35));
    area += share;
    x += share * ((i % width) + .5) / width;
    y += share * (Math.floor(i / width) + .5) / height;
  }
  return area / (width * height) < SEEN ? null : [x / area, y / area];
}

// Return a place of the picture as metres on a plane; matrix: nine numbers, row by row.
export function onPlane(seen, matrix) {
  if (!seen) return null;
  const [a, b, w] = [0, 3, 6].map((row) => matrix[row] * seen[0] + matrix[row + 1] * seen[1] + matrix[row + 2]);
  return [a / w, b / w];
}

// Return a quantity at each time, null where the thing is not seen. places: in metres, or null.
export function measured(quantity, places, fps) {
  const from = places[0], away = (p, q) => Math.hypot(p[0] - q[0], p[1] - q[1]);
  return places.map((place, t) => {
    if (!place) return null;
    if (quantity === "place") return place[0];
    if (quantity === "height") return place[1];
    if (quantity === "distance") return from ? away(place, from) : null;
    const [first, last] = [Math.max(0, t - 1), Math.min(places.length - 1, t + 1)];
    if (first === last || !places[first] || !places[last]) return null;
    const speed = away(places[last], places[first]) * fps / (last - first);
    return quantity === "speed" ? speed : GRAVITY * place[1] + speed ** 2 / 2;
  });
}

// Return the mean distance of two rows of numbers where both are there, or null.
export function apart(some, others) {
  const both = some.flatMap((value, t) => (value == null || others[t] == null ? [] : [Math.abs(value - others[t])]));
  return both.length ? both.reduce((sum, value) => sum + value, 0) / both.length : null;
}
