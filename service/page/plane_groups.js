// Groups of points by one field of their metadata, told apart by colour and shape.

import { element } from "./elements.js";

// Okabe and Ito (2008): told apart with every common colour blindness; seen on white and on black.
const COLOURS = ["#e69f00", "#56b4e9", "#009e73", "#d55e00", "#cc79a7", "#4477cc"];
const GREY = "#888888";
const MOST_GROUPS = 18;
const RADIUS = 5;

const SHAPES = {
  circle: (context, x, y) => context.arc(x, y, RADIUS, 0, 2 * Math.PI),
  square: (context, x, y) => context.rect(x - RADIUS, y - RADIUS, 2 * RADIUS, 2 * RADIUS),
  triangle: (context, x, y) => {
    context.moveTo(x, y - RADIUS - 1);
    context.lineTo(x + RADIUS + 1, y + RADIUS);
    context.lineTo(x - RADIUS - 1, y + RADIUS);
    context.closePath();
  },
};

/**
 * Group points by the field that tells them apart best: one with at least two and not too many values.
 *
 * @returns {{name: string | null, groups: {value: string, paint: Function}[]}} the last group is of all others
 */
export function groupsOf(points) {
  const values = new Map();
  for (const { metadata } of points) {
    for (const [name, value] of Object.entries(metadata)) {
      if (typeof value === "object") continue;
      if (!values.has(name)) values.set(name, new Map());
      const counts = values.get(name);
      counts.set(String(value), (counts.get(String(value)) ?? 0) + 1);
    }
  }
  const total = (counts) => [...counts.values()].reduce((sum, count) => sum + count, 0);
  // Values that hardly repeat, such as numbers of items, are no groups.
  const most = (counts) => Math.min(MOST_GROUPS, total(counts) / 2);
  const fit = [...values].filter(([, counts]) => counts.size > 1 && counts.size <= most(counts));
  const [name, counts] = fit.sort(([, a], [, b]) => total(b) - total(a) || b.size - a.size)[0] ?? [null, new Map()];
  const named = [...counts.keys()].sort().map((value, at) => {
    const shape = Object.values(SHAPES)[Math.floor(at / COLOURS.length)];
    return { value, paint: painter(shape, COLOURS[at % COLOURS.length]) };
  });
  const rest = points.length > total(counts) ? [{ value: name ? "others" : "items", paint: painter(SHAPES.circle, GREY) }] : [];
  return { name, groups: [...named, ...rest] };
}

function painter(shape, colour) {
  return (context, x, y) => {
    context.beginPath();
    shape(context, x, y);
    context.fillStyle = colour;
    context.fill();
  };
}

/** A small picture of a group's points, for the legend. */
export function marker({ paint }) {
  const canvas = element("canvas", { width: 14, height: 14 });
  canvas.setAttribute("aria-hidden", "true");
  paint(canvas.getContext("2d"), 7, 7);
  return canvas;
}
