// The pictures and what lies on them: frames, score, badges and overlays. As large as the window allows.

const PIXELATED_BELOW_PX = 200, WHOLE_BELOW = 4, MIN_SIDE_PX = 320, MAX_SIDE_PX = 410, MIN_THUMB_PX = 148;
const $ = (id) => document.getElementById(id);
const screens = [$("dream"), $("real")].map((canvas) => ({ canvas, context: canvas.getContext("2d") }));

// ---- frames and what lies on them -----------------------------------------------------------------------------

export function drawPictures(pictures) {
  pictures.forEach((picture, i) => {
    const { canvas, context } = screens[i], { width, height } = picture;
    if (canvas.width !== width || canvas.height !== height) Object.assign(canvas, { width, height });
    context.drawImage(picture, 0, 0);
  });
}

// Nothing is left of another world.
export function clear() {
  for (const { canvas, context } of screens) context.clearRect(0, 0, canvas.width, canvas.height);
}

const isScore = (score) => Number.isFinite(score);
const written = (score) => (Number.isInteger(score) ? String(score) : score.toFixed(1));

export function showScore(score) {
  $("score").hidden = !isScore(score);
  if (isScore(score)) $("score-now").textContent = written(score);
}

export function showOver(isOver, score) {
  $("over").hidden = !isOver;
  $("over-score").hidden = !isScore(score);
  if (isScore(score)) $("final").textContent = written(score);
}

export function showBadge(text) {
  $("badge").hidden = !text;
  $("badge").textContent = text;
}

export function showOverlay(title, text) {
  $("overlay-title").textContent = title;
  $("overlay-text").textContent = text;
  $("overlay").hidden = false;
}

export function toast(text) {
  $("toast").textContent = text;
  $("toast").hidden = false;
  clearTimeout(toast.timer);
  toast.timer = setTimeout(() => { $("toast").hidden = true; }, 6000);
}

// ---- layout ---------------------------------------------------------------------------------------------------

let shape = null;  // {columns, rows, aspect, count, isSmall} of the pictures on show

export function setShape(world) {
  const [columns, rows] = world.picture_px;
  const isSmall = world.size_px < PIXELATED_BELOW_PX;
  shape = { columns, rows, aspect: world.aspect, count: world.beside ? 2 : 1, isSmall };
  for (const { canvas } of screens) canvas.classList.toggle("pixelated", shape.isSmall);
  layOut();
}

// The height of one picture where `count` of them share the space, next to or above each other.
function heightIn(across, down, gap, caption) {
  const { count, aspect } = shape;
  const beside = Math.min((across - (count - 1) * gap) / count / aspect, down - caption);
  const stacked = Math.min(across / aspect, (down - (count - 1) * gap) / count - caption);
  return count > 1 && stacked > beside ? [stacked, true] : [beside, false];
}

// Set the pictures' size. The style sheet says how the page is arranged: wide, tall (a phone upright), short (a phone
// on its side) or full.
export function layOut() {
  const play = $("play");
  if (!shape || play.hidden) return;
  const style = getComputedStyle(play), mode = style.getPropertyValue("--mode").trim();
  const gap = parseFloat(style.columnGap) || 0, caption = $("dream-caption").offsetHeight;
  const inner = play.clientWidth - parseFloat(style.paddingLeft) - parseFloat(style.paddingRight);
  const bottom = play.clientHeight - parseFloat(style.paddingBottom);
  const top = mode === "wide" ? $("stage").offsetTop : parseFloat(style.paddingTop);
  let found;
  play.classList.remove("under");
  if (mode === "full") found = heightIn(play.clientWidth, play.clientHeight, gap, caption);
  else if (mode === "tall") {
    const others = [...play.children].filter((child) => child.id !== "stage" && child.offsetParent);
    const taken = others.reduce((sum, { offsetHeight }) => sum + offsetHeight + (parseFloat(style.rowGap) || 0), 0);
    found = heightIn(play.clientWidth, bottom - top - taken, gap, caption);
  } else if (mode === "short") found = heightIn(inner - 2 * (MIN_THUMB_PX + gap), bottom - top, gap, caption);
  else {
    const across = inner - MIN_SIDE_PX - gap, rowGap = parseFloat(style.rowGap) || 0;
    found = heightIn(across, bottom - top, gap, caption);
    // A wide picture leaves room below: the timeline goes there where it costs no size.
    const below = heightIn(across, bottom - top - $("history").offsetHeight - rowGap, gap, caption);
    play.classList.toggle("under", below[0] >= found[0] * 0.99);
    if (below[0] >= found[0] * 0.99) found = below;
  }
  const { columns, rows, aspect, count, isSmall } = shape, [most, stacked] = found;
  // Small factors are whole, so that every pixel has the same size; above that the difference is not seen.
  const pixel = rows / devicePixelRatio;  // one screen pixel per world pixel
  let height = Math.max(80, Math.floor(most));
  if (isSmall && height > pixel && height < WHOLE_BELOW * pixel) height = Math.floor(height / pixel) * pixel;
  // Sides are rounded to whole pixels: only a picture that was squeezed is stretched.
  const isSqueezed = Math.abs((rows * aspect) / columns - 1) > 0.03;
  const width = isSqueezed ? height * aspect : (height * columns) / rows;
  for (const { canvas } of screens) Object.assign(canvas.style, { width: `${width}px`, height: `${height}px` });
  $("stage").classList.toggle("stacked", stacked);
  const picture = stacked ? width : count * width + (count - 1) * gap;
  play.style.setProperty("--picture", `${picture}px`);
  play.style.setProperty("--side", `${Math.min(MAX_SIDE_PX, Math.max(MIN_SIDE_PX, inner - picture - gap))}px`);
}

// ---- full screen ----------------------------------------------------------------------------------------------

const isFull = () => document.body.classList.contains("full");

export async function setFull(on) {
  if (on === isFull()) return;
  document.body.classList.toggle("full", on);
  $("leave").hidden = !on;
  clearTimeout(setFull.timer);
  setFull.timer = setTimeout(() => { $("leave").hidden = true; }, 4000);
  layOut();
  try {
    // Where the browser has no full screen (an iPhone), the picture fills the window.
    if (on) await document.documentElement.requestFullscreen?.({ navigationUI: "hide" });
    else if (document.fullscreenElement) await document.exitFullscreen();
  } catch { /* the window it is */ }
}

export const toggleFull = () => setFull(!isFull());

document.addEventListener("fullscreenchange", () => { if (!document.fullscreenElement) setFull(false); });
new ResizeObserver(layOut).observe(document.documentElement);
addEventListener("resize", layOut);
