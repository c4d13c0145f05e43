// From an action space to what a person can press. A scheme is
//   pads     [{word, label, keys, toggle}]  things to hold; each is a button on the page and some keys
//   axes     [{name, low, high, rest}]      sliders, for boxes nobody has named
//   choices  [{name, count}]                pickers, for multi-discrete spaces
//   note     one line for people
//   action(input)  the raw action, where input is {strength(word) 0..1, recent [words], target, sliders, picked}
// Words: up, down, left, right, fire, and "#3" or "#-3" for number keys.

const ALIASES = {
  up: ["UP", "FORWARD", "GAS", "ACCELERATE", "THROTTLE", "NORTH"], down: ["DOWN", "BACKWARD", "BACK", "BRAKE", "SOUTH"],
  left: ["LEFT", "STEERLEFT", "TURNLEFT", "WEST"], right: ["RIGHT", "STEERRIGHT", "TURNRIGHT", "EAST"],
  fire: ["FIRE", "SHOOT", "ATTACK", "JUMP"],
};
const AXES = {  // the words that move a named axis down and up
  STEER: ["left", "right"], STEERING: ["left", "right"], X: ["left", "right"], Y: ["down", "up"],
  GAS: [null, "up"], THROTTLE: [null, "up"], BRAKE: [null, "down"],
};
export const KEYS = { up: ["↑", "W"], down: ["↓", "S"], left: ["←", "A"], right: ["→", "D"], fire: ["F"] };

const plain = (name) => name.toUpperCase().replace(/[^A-Z0-9]/g, "");
const keysOf = (word) => KEYS[word] ?? [word[1] === "-" ? `⇧${word.slice(2)}` : word.slice(1)];
const wordFor = (name) => Object.keys(ALIASES).find((word) => ALIASES[word].includes(plain(name)));

export function makeScheme(space, pointer) {
  const empty = { pads: [], axes: [], choices: [], note: "", action: () => [] };
  const made = pointer ? pointing(space) : {
    discrete, box, multi_binary: switches, multi_discrete: pickers,
    none: () => ({ note: "This world takes no actions. Watch it." }),
  }[space.kind](space);
  return { ...empty, ...made };
}

function discrete({ nvec: [count], names }) {
  const numbers = new Map(names.map((name, i) => [plain(name), i]));
  const says = {};
  for (const word in ALIASES) says[word] = ALIASES[word].find((name) => numbers.has(name));
  if (!says.up && !says.down && says.left && says.right) [says.up, says.down] = [says.right, says.left];  // Pong
  const known = new Set(Object.values(says).filter(Boolean));
  const isCombination = (name) => [...known].some((a) => name !== a && name.startsWith(a) && !known.has(name));

  const pads = [];
  for (let i = names.length ? 0 : 1; i < count; i++) {
    const name = plain(names[i] ?? ""), words = Object.keys(ALIASES).filter((word) => says[word] === name);
    if (name === "NOOP" || isCombination(name)) continue;
    if (words.length) pads.push({ word: words[0], label: names[i].toLowerCase(), keys: words.map((w) => KEYS[w][0]) });
    else if (i < 10) pads.push({ word: `#${i}`, label: names[i]?.toLowerCase() ?? `choice ${i}`, keys: [String(i)] });
  }
  const rank = Object.keys(ALIASES), place = ({ word }) => (rank.includes(word) ? rank.indexOf(word) : rank.length);
  pads.sort((a, b) => place(a) - place(b));
  return {
    pads, note: names.length ? "" : "Nothing held is choice 0.",
    action({ recent }) {
      const number = recent.find((word) => word[0] === "#" && word[1] !== "-" && Number(word.slice(1)) < count);
      if (number) return Number(number.slice(1));
      const words = recent.filter((word) => says[word]);
      // The most that is held and has a name together, such as UPRIGHTFIRE; else the newest alone.
      for (const some of [words, words.slice(0, 2), ...words.map((word) => [word])]) {
        const name = [...new Set([...some].sort((a, b) => rank.indexOf(a) - rank.indexOf(b)).map((w) => says[w]))].join("");
        if (name && numbers.has(name)) return numbers.get(name);
      }
      return 0;
    },
  };
}

function pointing({ low, high }) {
  return {
    pads: ["up", "left", "down", "right"].map((word) => ({ word, label: word, keys: KEYS[word] })),
    note: "Move the pointer or a finger over the picture; the ring is the target. Arrows nudge it.",
    action: ({ target }) => target?.map((part, i) => low[i] + part * (high[i] - low[i])) ?? null,
  };
}

function box({ low, high, names }) {
  const taken = new Set(), pads = [], axes = [];
  const ways = low.map((_, i) => {
    const byName = AXES[plain(names[i] ?? "")];
    const byPlace = names.some((name) => AXES[plain(name)]) ? null : [["left", "right"], ["down", "up"]][i];
    const words = (byName ?? byPlace ?? [`#-${i + 1}`, `#${i + 1}`]).map((word) => (taken.has(word) ? null : word));
    words.forEach((word) => word && taken.add(word));
    const name = names[i] ?? `axis ${i + 1}`, rest = Math.min(Math.max(0, low[i]), high[i]);
    words.forEach((word, side) => {
      if (!word || (side === 0 && rest === low[i])) return;
      // An axis called "right" has the buttons left and right; one whose other way has no word, such as "away", − and +.
      const label = !words[0] ? name : wordFor(name) === words[1] ? word : `${name} ${byName ? word : "−+"[side]}`;
      pads.push({ word, label, keys: keysOf(word) });
    });
    if (!byName) axes.push({ i, name, low: low[i], high: high[i], rest });
    return { words, rest };
  });
  return {
    pads, axes,
    action: ({ strength, sliders }) => ways.map(({ words, rest }, i) => {
      const from = sliders[i] ?? rest, [minus, plus] = words.map((word) => (word ? strength(word) : 0));
      return Math.min(high[i], Math.max(low[i], from + plus * (high[i] - from) + minus * (low[i] - from)));
    }),
  };
}

function switches({ nvec, names }) {
  const words = nvec.map((_, i) => wordFor(names[i] ?? "") ?? `#${i + 1}`);
  return {
    pads: words.map((word, i) => ({ word, label: names[i] ?? `switch ${i + 1}`, keys: keysOf(word), toggle: word[0] === "#" })),
    action: ({ strength }) => words.map((word) => (strength(word) > 0.5 ? 1 : 0)),
  };
}

function pickers({ nvec, names }) {
  return {
    choices: nvec.map((count, i) => ({ name: names[i] ?? `part ${i + 1}`, count })),
    note: "Number keys change a part.",
    action: ({ picked }) => [...picked],
  };
}
