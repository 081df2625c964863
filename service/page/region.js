// A part of the photo to search by: a box that is dragged, or moved by keys.

import { answerItem } from "./answer.js";
import * as api from "./api.js";
import { part } from "./elements.js";
import { showRequest } from "./export.js";
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
let before = null; // the box before it

const within = (value, least, most) => Math.min(Math.max(value, least), most);

function show() {
  part("box").hidden = !box;
  // A finger has no Enter.
  part("search-part").hidden = !(box && area.classList.contains("choosing"));
  if (!box) return;
  for (const [side, share] of Object.entries(box)) part("box").style[side] = `${100 * share}%`;
}

/** Take the box away with what was found by it, and say whether parts can be searched by. */
function reset() {
  box = corner = null;
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
  show();
}

/** Take the box away, and list the neighbours of the whole photo again. */
export function leavePart() {
  if (!box) return;
  const focused = document.activeElement === area;
  const listed = shown.parts;
  shown.parts = null;
  reset();
  if (focused) part("choose-part").focus();
  if (!listed) return;
  listNeighbours(shown.answer.neighbours);
  showRequest();
}

async function search() {
  const { answer, photo } = shown;
  const { width, height } = photo.size;
  const chosen = box;
  const [x, y] = [box.left * width, box.top * height].map(Math.floor);
  const region = [x, y, within(Math.round(box.width * width), 1, width - x), within(Math.round(box.height * height), 1, height - y)];
  tell("Searching for this part …");
  try {
    const parts = await api.searchRegion(photo, region);
    // Another photo, or another box, was chosen meanwhile.
    if (shown.answer !== answer || box !== chosen) return;
    shown.parts = parts;
    listParts(parts, answerItem);
    showRequest(region);
    part("whole").hidden = false;
    part("neighbours").scrollIntoView({ block: "nearest" });
    tell(foundParts(parts.neighbours.length));
  } catch (error) {
    if (shown.answer === answer) fail(error);
  }
}

function foundParts(count) {
  if (count === 0) return "No other image has regions to compare with.";
  return count === 1 ? "The nearest part." : `The ${count} nearest parts.`;
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
  before = box;
});
area.addEventListener("pointermove", (event) => {
  if (!corner) return;
  const [x, y] = placeOf(event);
  const [left, top] = [Math.min(x, corner[0]), Math.min(y, corner[1])];
  box = { left, top, width: Math.abs(x - corner[0]), height: Math.abs(y - corner[1]) };
  show();
});
area.addEventListener("pointerup", () => {
  const dragged = corner && box !== before;
  corner = null;
  if (!dragged) return;
  if (Math.min(box.width, box.height) >= LEAST) return search();
  box = before;
  show();
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
  const on = !area.classList.contains("choosing");
  if (!on && !shown.parts) return leavePart();
  if (on) box ??= MIDDLE;
  choosing(on);
  if (on) area.focus();
});
part("search-part").addEventListener("click", () => search());
part("whole").addEventListener("click", () => {
  leavePart();
  part("choose-part").focus();
});
document.addEventListener("photo-answered", reset);
