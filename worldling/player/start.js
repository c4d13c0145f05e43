// The start page: a card for every world, with a moving picture.

import { address, HOME } from "./engine.js";

const PIXELATED_BELOW_PX = 200;
const GROUPS = [["own", "Worlds of yours"], ["bundled", "Bundled worlds"]];
const $ = (id) => document.getElementById(id);
const still = matchMedia("(prefers-reduced-motion: reduce)");

const make = (tag, className, text = "") =>
  Object.assign(document.createElement(tag), { className, textContent: text });

export function show() {
  $("start").hidden = false;
  document.title = "Worldling";
}

export function hide() {
  $("start").hidden = true;
  $("groups").replaceChildren();  // moving pictures cost time even where they are not seen
}

export function showTrouble() {
  const text = "The server does not answer. Start it again in the terminal with worldling play.";
  $("groups").replaceChildren(make("p", "empty", text));
}

// worlds: as from api/worlds; go(id) plays one.
export function draw(worlds, go) {
  if (!worlds.length) return $("groups").replaceChildren(howToMakeOne());
  const groups = GROUPS.map(([group, title]) => [title, worlds.filter((world) => world.group === group)]);
  const filled = groups.filter(([, members]) => members.length);
  $("groups").replaceChildren(...filled.map(([title, members]) => {
    const section = make("section", "group"), cards = make("ul", "cards");
    const heading = filled.length > 1 ? "h3" : "h2";  // no level is left out
    if (filled.length > 1) section.append(make("h2", "", title));
    cards.append(...members.map((world) => {
      const item = make("li", "");
      item.append(card(world, go, heading));
      return item;
    }));
    section.append(cards);
    return section;
  }));
}

function card(world, go, heading) {
  const element = make(world.problem ? "div" : "a", world.problem ? "card broken" : "card");
  if (!world.problem) {
    element.href = address(world.id);
    element.onclick = (event) => {
      if (HOME || event.ctrlKey || event.metaKey || event.shiftKey || event.altKey) return;  // a new tab
      event.preventDefault();
      go(world.id);
    };
  }
  const text = make("div", "about");
  text.append(make(heading, "name", world.title || world.id));
  if (world.problem) text.append(make("p", "problem", world.problem));
  else for (const line of [world.what, HOME && world.how].filter(Boolean)) text.append(make("p", "", line));
  text.append(make("p", "fine", facts(world)));
  if (world.cost) text.append(make("p", "fine", world.cost));
  element.append(picture(world), text);
  return element;
}

function facts({ id, group, size_px: size, parameters, trained = "", verdict }) {
  const millions = parameters ? `${(parameters / 1e6).toFixed(parameters < 1e7 ? 1 : 0)} M parameters` : "";
  const date = trained.replaceAll("-", "\u2011");  // not to be broken over two lines
  const own = group === "own" ? [id, date && `trained ${date}`, verdict] : [];
  return [size ? `${size} px` : "", millions, ...own].filter(Boolean).join(" · ");
}

function picture({ preview, size_px: size, aspect = 1 }) {
  const frame = make("div", "frame"), image = make("img", size < PIXELATED_BELOW_PX ? "pixelated" : "");
  Object.assign(image, { alt: "", decoding: "async", loading: "lazy", draggable: false });
  // The true shape, as large as a square box allows.
  const shape = { aspectRatio: String(aspect), width: `${Math.min(1, aspect) * 100}%` };
  Object.assign(image.style, shape);
  image.onload = () => {
    frame.classList.add("ready");
    if (!still.matches) return;
    const first = make("canvas", image.className);  // a moving picture is drawn as its first frame
    Object.assign(first, { width: image.naturalWidth, height: image.naturalHeight });
    first.getContext("2d").drawImage(image, 0, 0);
    Object.assign(first.style, shape);
    image.replaceWith(first);
  };
  image.onerror = () => image.remove();
  if (preview) image.src = preview;
  frame.append(image);
  return frame;
}

function howToMakeOne() {
  const box = make("div", "empty");
  box.append(
    make("p", "", "There is no world here yet. Record an environment, train on it, and it appears on this page:"),
    make("pre", "", "worldling record ALE/Pong-v5 --frames 20000 --out data/pong\n"
      + "worldling train data/pong --out worlds/pong"),
  );
  return box;
}
