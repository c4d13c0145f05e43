// Make a control scheme from an action space. A scheme is
//   buttons  [{control, label, keys, thumb, toggle}]  a button on the page each, its keys, and the thumb for it
//   hints    [{keys, text}]                    what is pressed or moved without a button of its own
//   axes     [{name, low, high, neutral}]      sliders, for box axes without a known name
//   choices  [{name, count}]                   pickers, for multi-discrete spaces
//   note     one line shown to the player
//   action(input)  the raw action; input: {strength(control) 0..1, recent [controls], target, sliders, picked}
// A control is one of up, down, left, right, fire, or "#3" or "#-3" for number keys.

const ALIASES = {
  up: ["UP", "FORWARD", "GAS", "ACCELERATE", "THROTTLE", "NORTH", "MOVEUP", "MOVEFORWARD", "FASTER", "MAINENGINE"],
  down: ["DOWN", "BACKWARD", "BACK", "BRAKE", "SOUTH", "MOVEDOWN", "MOVEBACKWARD", "MOVEBACK", "SLOWER"],
  left: ["LEFT", "STEERLEFT", "TURNLEFT", "WEST", "MOVELEFT", "LANELEFT", "LEFTENGINE"],
  right: ["RIGHT", "STEERRIGHT", "TURNRIGHT", "EAST", "MOVERIGHT", "LANERIGHT", "RIGHTENGINE"],
  fire: ["FIRE", "SHOOT", "ATTACK", "JUMP", "DO", "USE"],
};
const IDLE = ["NOOP", "NOTHING", "DONOTHING", "IDLE", "NONE", "STAY"];  // IDLE_NAMES of types.py
const SIDE = ["left", "right"], DEPTH = ["down", "up"];
const AXES = {  // the controls that decrease and increase a named axis, and what they are called
  STEER: [SIDE, ["steer left", "steer right"]], STEERING: [SIDE, ["steer left", "steer right"]],
  TURN: [SIDE, ["turn left", "turn right"]], X: [SIDE, SIDE], RIGHT: [SIDE, SIDE],
  LEFT: [["right", "left"], ["right", "left"]], Y: [DEPTH, DEPTH], UP: [DEPTH, DEPTH],
  FORWARD: [DEPTH, ["back", "forward"]], AWAY: [DEPTH, ["closer", "away"]],
  GAS: [[null, "up"], ["", "gas"]], THROTTLE: [[null, "up"], ["", "throttle"]], BRAKE: [[null, "down"], ["", "brake"]],
};
const ORDER = ["left", "right", "up", "down", "fire"];  // as the buttons are shown; number keys follow
export const KEYS = { up: ["↑", "W"], down: ["↓", "S"], left: ["←", "A"], right: ["→", "D"], fire: ["F"] };

const plain = (name) => name.toUpperCase().replace(/[^A-Z0-9]/g, "");
// "turnLeft" and "TURN_LEFT" are "turn left".
const readable = (name) => name.replace(/([a-z])([A-Z])/g, "$1 $2").replace(/[_\s]+/g, " ").trim().toLowerCase();
const keysOf = (control) => KEYS[control] ?? [control[1] === "-" ? `⇧${control.slice(2)}` : control.slice(1)];
const controlFor = (name) => Object.keys(ALIASES).find((control) => ALIASES[control].includes(plain(name)));
const place = ({ control }) => (ORDER.includes(control) ? ORDER.indexOf(control) : ORDER.length);

export function makeScheme(space, pointer) {
  const empty = { buttons: [], hints: [], axes: [], choices: [], note: "", action: () => [] };
  const made = pointer ? pointing(space) : {
    discrete, box, multi_binary: switches, multi_discrete: pickers,
    none: () => ({ note: "This world takes no actions." }),
  }[space.kind](space);
  const scheme = { ...empty, ...made };
  // Directions are for the left thumb. Pedals, fire and numbers are for the right one, where there are both.
  const isDirection = ({ control, pedal }) => !pedal && ["left", "right", "up", "down"].includes(control);
  const buttons = scheme.buttons.map((entry) => ({ ...entry, thumb: isDirection(entry) ? "left" : "right" }));
  scheme.buttons = buttons.sort((a, b) => place(a) - place(b));
  return scheme;
}

// What to press, in one sentence, for a world that does not say what to do in it.
export function sentence({ buttons, hints, axes, choices, note }, isTouch) {
  if (hints.length) return `${isTouch ? hints[0].touch : hints[0].text}.`;
  if (isTouch && buttons.length) return "Hold the buttons below.";
  const keyed = buttons.filter((button) => button.keys.length);
  const keys = keyed.slice(0, 6).map(({ keys: [key], label }) => `${key} ${label}`);
  if (keys.length) return `Keys: ${keys.join(", ")}${buttons.length > 6 ? " and more" : ""}.`;
  if (axes.length || choices.length) return "Set the values below.";
  return note || "Watch it.";
}

function discrete({ nvec: [count], names }) {
  const numbers = new Map(names.map((name, i) => [plain(name), i]));
  const nameOf = {};
  for (const control in ALIASES) nameOf[control] = ALIASES[control].find((name) => numbers.has(name));
  const isPong = !nameOf.up && !nameOf.down && nameOf.left && nameOf.right;
  if (isPong) [nameOf.up, nameOf.down] = [nameOf.right, nameOf.left];
  const known = new Set(Object.values(nameOf).filter(Boolean));
  const isCombination = (name) => [...known].some((a) => name !== a && name.startsWith(a) && !known.has(name));

  const resting = IDLE.find((name) => numbers.has(name)), idle = numbers.get(resting) ?? 0;
  const restingName = names.length ? names[0].toLowerCase() : "choice 0";
  const buttons = [];
  for (let i = names.length ? 0 : 1; i < count; i++) {
    const name = plain(names[i] ?? ""), controls = ORDER.filter((control) => nameOf[control] === name);
    if (name === resting || isCombination(name)) continue;
    const label = readable(names[i] ?? `choice ${i}`);
    const keys = controls.map((one) => KEYS[one][0]), pedal = /^(GAS|THROTTLE|ACCELERATE|BRAKE)$/.test(name);
    if (controls.length) buttons.push({ control: controls[0], label, keys, pedal });
    else buttons.push({ control: `#${i}`, label, keys: i < 10 ? [String(i)] : [] });
  }
  const order = Object.keys(ALIASES);
  const rank = (control) => (order.includes(control) ? order.indexOf(control) : order.length);
  return {
    buttons, note: resting ? "" : `With no key or button held, the action is ${restingName}.`,
    action({ recent }) {
      const isChoice = (control) => control[0] === "#" && control[1] !== "-" && Number(control.slice(1)) < count;
      const number = recent.find(isChoice);
      if (number) return Number(number.slice(1));
      const controls = recent.filter((control) => nameOf[control]);
      // The largest held combination that has a name, such as UPRIGHTFIRE; else the newest control alone.
      for (const combination of [controls, controls.slice(0, 2), ...controls.map((control) => [control])]) {
        const sorted = [...combination].sort((a, b) => rank(a) - rank(b));
        const name = [...new Set(sorted.map((control) => nameOf[control]))].join("");
        if (name && numbers.has(name)) return numbers.get(name);
      }
      return idle;
    },
  };
}

function pointing({ low, high }) {
  return {
    hints: [
      { keys: [], text: "Move the mouse over the picture", touch: "Drag a finger over the picture" },
      { keys: ["←", "→", "↑", "↓"], text: "move the ring" },
    ],
    action: ({ target }) => target?.map((part, i) => low[i] + part * (high[i] - low[i])) ?? null,
  };
}

function box({ low, high, names }) {
  const used = new Set(), buttons = [], axes = [], isNamed = names.some((name) => AXES[plain(name)]);
  const parts = low.map((_, i) => {
    const [byName, called] = AXES[plain(names[i] ?? "")] ?? [];
    const byPosition = isNamed ? null : [SIDE, DEPTH][i];
    const wanted = byName ?? byPosition ?? [`#-${i + 1}`, `#${i + 1}`];
    const controls = wanted.map((control) => (used.has(control) ? null : control));
    controls.forEach((control) => control && used.add(control));
    const name = readable(names[i] ?? `axis ${i + 1}`), neutral = Math.min(Math.max(0, low[i]), high[i]);
    controls.forEach((control, side) => {
      if (!control || (side === 0 && neutral === low[i])) return;
      const label = called?.[side] ?? (controls[0] ? `${name} ${"−+"[side]}` : name);
      buttons.push({ control, label, keys: keysOf(control), pedal: wanted[0] === null });
    });
    if (!byName) axes.push({ i, name, low: low[i], high: high[i], neutral });
    return { controls, neutral };
  });
  return {
    buttons, axes,
    action: ({ strength, sliders }) => parts.map(({ controls, neutral }, i) => {
      const from = sliders[i] ?? neutral, [minus, plus] = controls.map((control) => (control ? strength(control) : 0));
      return Math.min(high[i], Math.max(low[i], from + plus * (high[i] - from) + minus * (low[i] - from)));
    }),
  };
}

function switches({ nvec, names }) {
  const controls = nvec.map((_, i) => controlFor(names[i] ?? "") ?? `#${i + 1}`);
  return {
    buttons: controls.map((control, i) => {
      const label = readable(names[i] ?? `switch ${i + 1}`);
      return { control, label, keys: keysOf(control), toggle: control[0] === "#" };
    }),
    action: ({ strength }) => controls.map((control) => (strength(control) > 0.5 ? 1 : 0)),
  };
}

function pickers({ nvec, names }) {
  return {
    choices: nvec.map((count, i) => ({ name: readable(names[i] ?? `part ${i + 1}`), count })),
    note: "Each number key changes one value.",
    action: ({ picked }) => [...picked],
  };
}
