// A lesson: choose a push, see what really happens beside what the network predicts, and answer questions.
// What it tells lies in `worldlingParts.lesson` (worldling/export/lesson.py).

import { Link } from "./engine.js";
import { apart, centre, measured, onPlane } from "./measure.js";
import { draw } from "./plot.js";

const lesson = JSON.parse(globalThis.worldlingParts.lesson), $ = (id) => document.getElementById(id);
const OWN = lesson.choices.length, STEPS = lesson.usual.length - 1, KEYS = {
  ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, 1], ArrowDown: [0, -1],
};
const films = lesson.choices.map(({ film }) => film.map((src) => Object.assign(new Image(), { src })));
const pressed = new Set();
let dragged = null, arrived = null, size = 64;

const make = (tag, values = {}, ...inside) => {
  const element = Object.assign(document.createElement(tag), values);
  element.append(...inside);
  return element;
};
const pause = (ms) => new Promise((resolve) => setTimeout(resolve, Math.max(0, ms)));
const chosen = () => Number(document.querySelector("input[name=choice]:checked").value);

// --- the text and the questions

function tell() {
  $("title").textContent = lesson.title;
  $("text").append(...lesson.text.map((text) => make("p", { textContent: text })));
  $("plotted").textContent = `Measured: ${lesson.says} of ${lesson.thing}, in ${lesson.unit}`;
  const labels = [...lesson.choices.map(({ label }) => label), "your own hand"];
  $("choices").append(...labels.map((label, value) => make("label", {},
    make("input", { type: "radio", name: "choice", value, checked: value === 0, onchange: choose }), label)));
  $("asked").hidden = !lesson.questions.length;
  $("questions").append(...lesson.questions.map(ask));
}

function ask({ text, answers, right, because }, number) {
  const said = make("span");
  said.setAttribute("role", "status");
  const answer = (label, index) => make("label", {}, make("input", {
    type: "radio", name: `question${number}`,
    onchange: () => { said.textContent = `${index === right ? "Right." : "Not so."} ${because}`; },
  }), label);
  const legend = make("legend", { textContent: `${number + 1}. ${text}` });
  return make("li", {}, make("fieldset", {}, legend, ...answers.map(answer)), said);
}

// --- a run

// Draw a frame of the real film of the choice, or the first one of any under the note that there is none.
async function showReal(choice, t) {
  const frame = choice === OWN ? films[0][0] : films[choice][t];
  await frame.decode();
  $("none").hidden = choice !== OWN;
  $("real").getContext("2d").drawImage(frame, 0, 0);
}

function plot(choice, places) {
  const real = choice === OWN ? [] : lesson.choices[choice].true.slice(0, places.length || undefined);
  const dream = measured(lesson.quantity, places, lesson.fps), held = lesson.choices.flatMap((one) => one.true);
  const shown = places.length ? real : [];  // what will happen is not told before
  draw($("plot"), { real: shown, dream, usual: lesson.usual, held, seconds: 1 / lesson.fps });
  return { real: shown, dream };
}

async function choose() {
  $("hand").hidden = chosen() !== OWN;
  $("dream").classList.toggle("steered", chosen() === OWN);
  [$("result").textContent, $("numbers").hidden] = ["", true];
  plot(chosen(), []);
  await showReal(chosen(), 0);
}

// The push of the hand now: to the right and away, each -1 to 1.
function push() {
  if (dragged) return dragged;
  const sum = [...pressed].map((key) => KEYS[key]).reduce(([a, b], [c, d]) => [a + c, b + d], [0, 0]);
  return sum.map((part) => Math.max(-1, Math.min(1, part)));
}

// Send a message and return the frame of number `index` that it leads to.
function frameOf(index, ...messages) {
  const frame = new Promise((resolve) => { arrived = (one) => one.index === index && resolve(one.dream); });
  messages.forEach((message) => link.send(message));
  return frame;
}

async function run() {
  const choice = chosen(), places = [], steered = choice === OWN;
  for (const input of document.querySelectorAll("input[name=choice]")) input.disabled = true;
  [$("run").disabled, $("status").textContent] = [true, steered ? "Push now." : "Running…"];
  let frame = await frameOf(0, { type: "reset", start: 0 }), due = performance.now();
  for (let t = 0; ; t++) {
    $("dream").getContext("2d").putImageData(frame, 0, 0);
    await showReal(choice, t);
    places.push(onPlane(centre(lesson.thing, frame), lesson.toPlane));
    plot(choice, places);
    if (t === STEPS) break;
    due = Math.max(performance.now(), due + 1000 / lesson.fps);
    await pause(due - performance.now());
    const action = steered ? push() : lesson.choices[choice].push;
    frame = await frameOf(t + 1, { type: "input", id: t + 1, action }, { type: "step" });
  }
  report(plot(choice, places), places);
  for (const input of document.querySelectorAll("input[name=choice]")) input.disabled = false;
  [$("run").disabled, $("status").textContent] = [false, ""];
}

// Say in words and numbers what was measured.
function report({ real, dream }, places) {
  const two = (value) => (value == null ? "–" : value.toFixed(2)), near = apart(real, dream);
  const usual = lesson.usual.reduce((sum, value) => sum + value, 0) / lesson.usual.length;
  const lost = places.filter((place) => !place).length;
  const often = `In other scenes of this kind two of three predictions are within ${two(usual)} ${lesson.unit}.`;
  $("result").textContent = [
    lost ? `In ${lost} of ${places.length} predicted pictures ${lesson.thing} was not to be seen.` : "",
    near == null ? "" : `The prediction was ${two(near)} ${lesson.unit} off, on average. ${often}`,
  ].join(" ").trim();
  $("rows").replaceChildren(...dream.map((value, t) => make("tr", {},
    ...[t / lesson.fps, real[t], value].map((number) => make("td", { textContent: two(number) })))));
  $("numbers").hidden = false;
  globalThis.lessonRun = { real, dream, off: near };  // for who wants to look closer
}

// --- the hand

addEventListener("keydown", (event) => {
  if (chosen() !== OWN || !(event.key in KEYS) || event.target.type === "radio") return;
  event.preventDefault();
  pressed.add(event.key);
});
addEventListener("keyup", ({ key }) => pressed.delete(key));
addEventListener("blur", () => pressed.clear());
$("dream").addEventListener("pointerdown", (event) => {
  if (chosen() !== OWN) return;
  $("dream").setPointerCapture(event.pointerId);
  drag(event);
});
$("dream").addEventListener("pointermove", (event) => dragged && drag(event));
for (const end of ["pointerup", "pointercancel"]) $("dream").addEventListener(end, () => { dragged = null; });

function drag({ offsetX, offsetY, target }) {
  const part = (value) => Math.max(-1, Math.min(1, 2 * value));
  dragged = [part(offsetX / target.clientWidth - .5), part(.5 - offsetY / target.clientHeight)];
}

// --- the world

const fail = (message) => { [$("run").disabled, $("status").textContent] = [true, message]; };
const opened = { frame: null };
const link = new Link("lesson", {
  up() {},
  down() {},
  refused: fail,
  message(message) {
    if (message.type === "error") fail(message.message);
    if (message.type !== "status" || opened.done) return;
    opened.done = true;
    link.send({ type: "pause", on: true });
    [$("run").disabled, $("status").textContent] = [false, "First think: what will happen?"];
  },
  frame(frame) {
    link.send({ type: "ack", seq: frame.seq });
    if (!opened.frame) {
      opened.frame = frame;
      size = frame.dream.width;
      for (const id of ["real", "dream"]) Object.assign($(id), { width: size, height: size });
      $("dream").getContext("2d").putImageData(frame.dream, 0, 0);
      choose();
    }
    arrived?.(frame);
  },
});
$("run").addEventListener("click", () => run().catch((error) => fail(String(error.message ?? error))));
tell();
plot(0, []);
