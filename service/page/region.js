// A part of the photo to search by: a box that is dragged, or moved by keys.

import * as api from "./api.js";
import { part } from "./elements.js";
import { fail, tell } from "./messages.js";
import { listNeighbours, listParts } from "./neighbours.js";
import { shown } from "./shown.js";

const STEP = 0.05; // of the photo's sides, by which a key moves the box
const LEAST = 0.03; // of the photo's sides; a smaller box is a click
const MIDDLE = { left: 0.3, top: 0.3, width: 0.4, height: 0.4 };
const STEPS = { ArrowUp: [0, -1], ArrowDown: [0, 1], ArrowLeft: [-1, 0], ArrowRight: [1, 0] };

const area = part("area");
let box = null; // in shares of the photo's sides
let corner = null; // where a drag began

const within = (value, least, most) => Math.min(Math.max(value, least), most);

function show() {
  part("box").hidden = !box;
  if (!box) return;
  for (const [side, share] of Object.entries(box)) part("box").style[side] = `${100 * share}%`;
}

/** Take the box away with what was found by it, and say whether parts can be searched by. */
function reset() {
  box = corner = null;
  show();
  const usable = Boolean(shown.photo.size) && !part("original").hidden;
  part("choose-part").hidden = !usable || !shown.regions;
  part("no-parts").hidden = !usable || shown.regions;
  part("whole").hidden = true;
  choosing(false);
}

function choosing(on) {
  area.classList.toggle("choosing", on);
  part("choose-part").setAttribute("aria-pressed", String(on));
  if (on) area.tabIndex = 0;
  else area.removeAttribute("tabindex");
}

async function search() {
  const { answer, photo } = shown;
  const { width, height } = photo.size;
  const chosen = box;
  const [x, y] = [box.left * width, box.top * height].map(Math.floor);
  const region = [x, y, within(Math.round(box.width * width), 1, width - x), within(Math.round(box.height * height), 1, height - y)];
  tell("Searching for this part …");
  try {
    const hits = await api.searchRegion(photo, region);
    // Another photo, or another box, was chosen meanwhile.
    if (shown.answer !== answer || box !== chosen) return;
    listParts(hits);
    part("whole").hidden = false;
    tell(foundParts(hits.length));
  } catch (error) {
    if (shown.answer === answer) fail(error);
  }
}

function foundParts(count) {
  if (count === 0) return "No image holds such a part.";
  return count === 1 ? "One image holds something like this part." : `${count} images hold something like this part.`;
}

function placeOf(event) {
  const { left, top, width, height } = area.getBoundingClientRect();
  return [within((event.clientX - left) / width, 0, 1), within((event.clientY - top) / height, 0, 1)];
}

area.addEventListener("pointerdown", (event) => {
  // A finger scrolls, unless a part is being chosen.
  if (!shown.regions || (event.pointerType === "touch" && !area.classList.contains("choosing"))) return;
  event.preventDefault();
  area.setPointerCapture(event.pointerId);
  corner = placeOf(event);
});
area.addEventListener("pointermove", (event) => {
  if (!corner) return;
  const [x, y] = placeOf(event);
  const [left, top] = [Math.min(x, corner[0]), Math.min(y, corner[1])];
  box = { left, top, width: Math.abs(x - corner[0]), height: Math.abs(y - corner[1]) };
  show();
});
area.addEventListener("pointerup", () => {
  corner = null;
  if (box && Math.min(box.width, box.height) >= LEAST) search();
});
area.addEventListener("pointercancel", () => {
  corner = null;
});
area.addEventListener("keydown", (event) => {
  const step = STEPS[event.key];
  if (!box || !(step || event.key === "Enter")) return;
  event.preventDefault();
  if (!step) return search();
  const [across, down] = step.map((one) => one * STEP);
  const { left, top, width, height } = box;
  box = event.shiftKey
    ? { left, top, width: within(width + across, STEP, 1 - left), height: within(height + down, STEP, 1 - top) }
    : { left: within(left + across, 0, 1 - width), top: within(top + down, 0, 1 - height), width, height };
  show();
});
part("choose-part").addEventListener("click", () => {
  choosing(!area.classList.contains("choosing"));
  if (!area.classList.contains("choosing")) return;
  box ??= MIDDLE;
  show();
  area.focus();
});
part("whole").addEventListener("click", () => {
  reset();
  listNeighbours(shown.answer.neighbours);
});
document.addEventListener("photo-answered", reset);
