// The index as points on a plane: its first two principal components, with the photo among them.

import * as api from "./api.js";
import { element, part, percent } from "./elements.js";
import { groupsOf, marker } from "./plane_groups.js";
import { fail } from "./messages.js";
import { shown } from "./shown.js";
import { showThumbnail } from "./thumbnails.js";

const SIZE = { width: 960, height: 640 };
const MARGIN = 24;
const NEAR = 24; // pixels of the canvas, within which a point is pointed at
const KEYS = { ArrowUp: [0, -1], ArrowDown: [0, 1], ArrowLeft: [-1, 0], ArrowRight: [1, 0] };

const canvas = part("plane");
let drawn = []; // points on the canvas: {id, x, y, group}, the photo's last
let plane = null;
let at = null; // the point that is pointed at

async function load() {
  if (!part("plane-side").open) return;
  try {
    plane = await api.plane();
    draw();
  } catch (error) {
    fail(error);
  }
}

/** Place points on the canvas, equally scaled both ways. */
function placed(points) {
  const [across, down] = ["x", "y"].map((axis) => points.map((point) => point[axis]));
  const ends = [across, down].map((values) => [Math.min(...values), Math.max(...values)]);
  const scale = Math.min(
    (SIZE.width - 2 * MARGIN) / Math.max(ends[0][1] - ends[0][0], 1e-6),
    (SIZE.height - 2 * MARGIN) / Math.max(ends[1][1] - ends[1][0], 1e-6),
  );
  const [left, top] = ends.map(([low, high]) => (low + high) / 2);
  return points.map((point) => ({
    ...point,
    x: SIZE.width / 2 + (point.x - left) * scale,
    y: SIZE.height / 2 - (point.y - top) * scale,
  }));
}

/** The photo as a point, where there is one and the plane is of the same model. */
function photoPoint() {
  if (!shown.answer || shown.answer.model !== plane.model || plane.points.length === 0) return [];
  const off = shown.answer.embedding.map((value, axis) => value - plane.mean[axis]);
  const [x, y] = plane.axes.map((axis) => axis.reduce((sum, value, place) => sum + value * off[place], 0));
  return [{ id: null, x, y, metadata: {} }];
}

function draw() {
  const { name, groups } = groupsOf(plane.points);
  drawn = placed([...plane.points, ...photoPoint()]);
  Object.assign(canvas, SIZE);
  leave();
  paint(name, groups);
  const legend = groups.map((group) => element("li", {}, marker(group), group.value));
  if (drawn.at(-1)?.id === null) legend.push(element("li", {}, "◎ your photo"));
  part("plane-legend").replaceChildren(...legend);
  const of = plane.sampled < plane.items ? `${plane.sampled.toLocaleString("en")} of ${plane.items.toLocaleString("en")} items, drawn by chance,` : `${plane.items.toLocaleString("en")} items`;
  const sentence =
    `${of} along the two directions in which embeddings differ most: ` +
    `${plane.shares.map((share) => percent(share)).join(" and ")} of their variance. Points that are near here may be far apart in the other directions.`;
  part("plane-note").textContent = plane.points.length ? sentence : "Nothing is in the index yet.";
  canvas.setAttribute("aria-label", `Points of the index${name ? `, by ${name}` : ""}. Arrow keys go from point to point.`);
}

function paint(name, groups) {
  const context = canvas.getContext("2d");
  context.clearRect(0, 0, SIZE.width, SIZE.height);
  const byValue = new Map(groups.map((group) => [group.value, group]));
  for (const point of drawn) {
    if (point.id === null) paintPhoto(context, point);
    else (byValue.get(String(point.metadata[name])) ?? groups.at(-1)).paint(context, point.x, point.y);
  }
}

function paintPhoto(context, { x, y }) {
  for (const [radius, colour, width] of [[10, "#fff", 6], [10, "#000", 3], [3, "#000", 3]]) {
    context.beginPath();
    context.arc(x, y, radius, 0, 2 * Math.PI);
    Object.assign(context, { strokeStyle: colour, lineWidth: width });
    context.stroke();
  }
}

function showPoint(point) {
  if (point === at) return;
  at = point;
  const frame = part("plane-frame");
  frame.style.left = `${(100 * point.x) / SIZE.width}%`;
  frame.style.top = `${(100 * point.y) / SIZE.height}%`;
  frame.hidden = false;
  part("plane-point").textContent = point.id ?? "Your photo";
  const image = element("img", { alt: "" });
  if (point.id !== null) showThumbnail(image, point.thumbnail ? point.id : null);
  part("plane-picture").replaceChildren(...(point.id === null ? [] : [image]));
}

function leave() {
  at = null;
  part("plane-frame").hidden = true;
  part("plane-point").textContent = "";
  part("plane-picture").replaceChildren();
}

function point(event) {
  const { width, height } = canvas.getBoundingClientRect();
  const place = { x: (event.offsetX * SIZE.width) / width, y: (event.offsetY * SIZE.height) / height };
  const far = (one) => Math.hypot(one.x - place.x, one.y - place.y);
  const nearest = drawn.reduce((best, one) => (best && far(best) <= far(one) ? best : one), null);
  if (nearest && far(nearest) <= NEAR) showPoint(nearest);
}

/** Go to the nearest point in a direction; what lies aside counts double. */
function step(event) {
  const direction = KEYS[event.key];
  if (!direction || drawn.length === 0) return;
  event.preventDefault();
  if (!at) return showPoint(drawn.at(-1));
  const cost = (one) => {
    const [x, y] = [one.x - at.x, one.y - at.y];
    const ahead = x * direction[0] + y * direction[1];
    const aside = Math.abs(x * direction[1]) + Math.abs(y * direction[0]);
    return one === at || ahead <= 0 ? Infinity : ahead + 2 * aside;
  };
  const next = drawn.reduce((best, one) => (cost(one) < cost(best) ? one : best), at);
  if (next !== at) showPoint(next);
}

canvas.addEventListener("pointermove", point);
canvas.addEventListener("pointerdown", point);
canvas.addEventListener("keydown", step);
canvas.addEventListener("focus", () => {
  if (canvas.matches(":focus-visible") && drawn.length) showPoint(drawn.at(-1));
});
part("plane-side").addEventListener("toggle", load);
document.addEventListener("index-changed", load);
document.addEventListener("photo-answered", () => {
  if (plane && part("plane-side").open) draw();
});
