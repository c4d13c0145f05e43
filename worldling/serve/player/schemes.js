// Make a control scheme from an action space. A scheme is
//   buttons  [{control, label, keys, toggle}]  a button on the page each, and its keys
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
  fire: ["FIRE", "SHOOT", "ATTACK", "JUMP", "DO"],
};
const IDLE = ["NOOP", "NOTHING", "DONOTHING", "IDLE", "NONE", "STAY"];  // IDLE_NAMES of types.py
const AXES = {  // the controls that decrease and increase a named axis
  STEER: ["left", "right"], STEERING: ["left", "right"], X: ["left", "right"], Y: ["down", "up"],
  GAS: [null, "up"], THROTTLE: [null, "up"], BRAKE: [null, "down"],
};
export const KEYS = { up: ["↑", "W"], down: ["↓", "S"], left: ["←", "A"], right: ["→", "D"], fire: ["F"] };

const plain = (name) => name.toUpperCase().replace(/[^A-Z0-9]/g, "");
const keysOf = (control) => KEYS[control] ?? [control[1] === "-" ? `⇧${control.slice(2)}` : control.slice(1)];
const controlFor = (name) => Object.keys(ALIASES).find((control) => ALIASES[control].includes(plain(name)));

export function makeScheme(space, pointer) {
  const empty = { buttons: [], axes: [], choices: [], note: "", action: () => [] };
  const made = pointer ? pointing(space) : {
    discrete, box, multi_binary: switches, multi_discrete: pickers,
    none: () => ({ note: "This world takes no actions." }),
  }[space.kind](space);
  return { ...empty, ...made };
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
    const name = plain(names[i] ?? ""), controls = Object.keys(ALIASES).filter((control) => nameOf[control] === name);
    if (name === resting || isCombination(name)) continue;
    const label = names[i]?.toLowerCase() ?? `choice ${i}`;
    if (controls.length) buttons.push({ control: controls[0], label, keys: controls.map((one) => KEYS[one][0]) });
    else if (i < 10) buttons.push({ control: `#${i}`, label, keys: [String(i)] });
  }
  const order = Object.keys(ALIASES);
  const rank = (control) => (order.includes(control) ? order.indexOf(control) : order.length);
  buttons.sort((a, b) => rank(a.control) - rank(b.control));
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
    buttons: ["up", "left", "down", "right"].map((control) => ({ control, label: control, keys: KEYS[control] })),
    note: "Move the mouse or a finger over the picture. The ring is the target. Arrow keys move it.",
    action: ({ target }) => target?.map((part, i) => low[i] + part * (high[i] - low[i])) ?? null,
  };
}

function box({ low, high, names }) {
  const used = new Set(), buttons = [], axes = [];
  const parts = low.map((_, i) => {
    const byName = AXES[plain(names[i] ?? "")];
    const byPosition = names.some((name) => AXES[plain(name)]) ? null : [["left", "right"], ["down", "up"]][i];
    const wanted = byName ?? byPosition ?? [`#-${i + 1}`, `#${i + 1}`];
    const controls = wanted.map((control) => (used.has(control) ? null : control));
    controls.forEach((control) => control && used.add(control));
    const name = names[i] ?? `axis ${i + 1}`, neutral = Math.min(Math.max(0, low[i]), high[i]);
    controls.forEach((control, side) => {
      if (!control || (side === 0 && neutral === low[i])) return;
      // An axis called "right" has the buttons left and right; "away", whose opposite is not a control, has − and +.
      const full = `${name} ${byName ? control : "−+"[side]}`;
      const label = !controls[0] ? name : controlFor(name) === controls[1] ? control : full;
      buttons.push({ control, label, keys: keysOf(control) });
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
      return { control, label: names[i] ?? `switch ${i + 1}`, keys: keysOf(control), toggle: control[0] === "#" };
    }),
    action: ({ strength }) => controls.map((control) => (strength(control) > 0.5 ? 1 : 0)),
  };
}

function pickers({ nvec, names }) {
  return {
    choices: nvec.map((count, i) => ({ name: names[i] ?? `part ${i + 1}`, count })),
    note: "Each number key changes one value.",
    action: ({ picked }) => [...picked],
  };
}
