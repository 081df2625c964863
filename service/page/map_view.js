// One map on the page: drawn on its canvas, with the value of the patch that is pointed at, touched or focused.

import { printed } from "./elements.js";
import { boxOf, draw, patchAt } from "./map.js";

const STEPS = { ArrowUp: [-1, 0], ArrowDown: [1, 0], ArrowLeft: [0, -1], ArrowRight: [0, 1] };
const DIGITS = 2;

export class MapView {
  /** Take a figure with a canvas, a frame for the patch, and an output for its value. */
  constructor(figure) {
    this.figure = figure;
    this.canvas = figure.querySelector("canvas");
    this.frame = figure.querySelector(".patch-frame");
    this.output = figure.querySelector("output");
    this.map = null;
    this.canvas.addEventListener("pointerdown", (event) => this.point(event));
    this.canvas.addEventListener("pointermove", (event) => this.point(event));
    this.canvas.addEventListener("pointerleave", (event) => {
      // A finger leaves when it is lifted, and the value is still to be read.
      if (event.pointerType !== "touch") this.leave();
    });
    this.canvas.addEventListener("keydown", (event) => this.step(event));
    this.canvas.addEventListener("focus", () => {
      if (this.map && this.canvas.matches(":focus-visible")) this.showPatch(...this.middle());
    });
    this.canvas.addEventListener("blur", () => this.leave());
  }

  /** Show a map: {picture, values, card, scale}; the sentence is read for it. */
  show(map, sentence, opacity) {
    this.map = map;
    this.figure.hidden = false;
    this.canvas.setAttribute("aria-label", sentence);
    this.leave();
    this.paint(opacity);
  }

  hide() {
    this.map = null;
    this.figure.hidden = true;
  }

  paint(opacity) {
    if (!this.map) return;
    const { picture, values, card, scale } = this.map;
    draw(this.canvas, picture, values, card, scale.most, opacity);
  }

  middle() {
    const { values } = this.map;
    return [values.length, values[0].length].map((side) => Math.floor(side / 2));
  }

  point(event) {
    if (!this.map) return;
    const { width, height } = this.canvas.getBoundingClientRect();
    const { picture, values, card } = this.map;
    const patch = patchAt({ across: event.offsetX / width, down: event.offsetY / height }, picture, values, card);
    if (patch) return this.showPatch(...patch);
    this.leave();
    this.output.textContent = "The model does not see this part of the image.";
  }

  step(event) {
    const step = STEPS[event.key];
    if (!step || !this.map) return;
    event.preventDefault();
    const { values } = this.map;
    const from = this.patch ?? this.middle();
    const last = [values.length - 1, values[0].length - 1];
    this.showPatch(...last.map((end, axis) => Math.min(Math.max(from[axis] + step[axis], 0), end)));
  }

  /** Frame a patch, and print its value, which a screen reader reads too. */
  showPatch(row, column) {
    this.patch = [row, column];
    const { picture, values, card, scale } = this.map;
    const value = values[row][column];
    const number = `${printed(value, DIGITS)}${scale.unit}`;
    this.output.textContent = `Row ${row + 1}, column ${column + 1}: ${number}${scale.reading?.(value) ?? ""}`;
    const box = boxOf(row, column, picture, card);
    for (const [side, share] of Object.entries(box)) this.frame.style[side] = `${100 * share}%`;
    this.frame.hidden = false;
  }

  leave() {
    this.patch = null;
    this.frame.hidden = true;
    this.output.textContent = "";
  }
}
