// Draws a map over a pale picture, as the service's own PNGs do: white is zero, red above and blue below, linear
// between the centres of patches.

// RdBu of ColorBrewer, turned round: told apart with every common colour blindness. page.css has the same.
const COLOURS = [
  0x053061, 0x2166ac, 0x4393c3, 0x92c5de, 0xd1e5f0, 0xf7f7f7, 0xfddbc7, 0xf4a582, 0xd6604d, 0xb2182b, 0x67001f,
];
const SIDES = [320, 720]; // of the canvas in pixels, the longer one

/** RGB of a share of the scale, -1 to 1. */
export function colour(share) {
  const place = ((share + 1) / 2) * (COLOURS.length - 1);
  const low = Math.min(Math.floor(place), COLOURS.length - 2);
  return [16, 8, 0].map((shift) => {
    const [a, b] = [COLOURS[low], COLOURS[low + 1]].map((one) => (one >> shift) & 255);
    return a + (b - a) * (place - low);
  });
}

/**
 * Place one axis of an image in the model's input, in pixels, as contract/placement.py does: what is `seen` of the
 * image fills what is `filled` of the input. `length` is the image's and `side` the input's; the others are those
 * of the other axis.
 */
function axis(rule, length, side, other, otherSide) {
  const longer = length * otherSide >= other * side;
  if (rule === "center_crop" && longer) {
    const seen = (other * side) / otherSide;
    return { seen: [(length - seen) / 2, (length + seen) / 2], filled: [0, side] };
  }
  if (rule === "letterbox" && !longer) {
    const filled = Math.max(1, Math.floor((2 * length * otherSide + other) / (2 * other)));
    const start = Math.floor((side - filled) / 2);
    return { seen: [0, length], filled: [start, start + filled] };
  }
  return { seen: [0, length], filled: [0, side] };
}

/** One axis of the map in shares of the picture's side: where it begins, a patch's length, and what is seen. */
function share({ seen, filled }, length, grid) {
  const scale = (seen[1] - seen[0]) / (filled[1] - filled[0]);
  const start = seen[0] + (grid.first_centre - grid.stride / 2 - filled[0]) * scale;
  return { start: start / length, step: (grid.stride * scale) / length, seen: seen.map((place) => place / length) };
}

/** Where the map lies on a picture of this width and height. */
export function layout(card, { width, height }) {
  const { resize_rule: rule, width: across, height: down } = card.preprocessing;
  return {
    across: share(axis(rule, width, across, height, down), width, card.patch_grid),
    down: share(axis(rule, height, down, width, across), height, card.patch_grid),
  };
}

/**
 * Draw `values`, rows of numbers, over an image on a canvas: an ImageBitmap, or a size where it cannot be shown.
 * The colours reach from minus `most` to `most`, and cover the image by `opacity`, 0 to 1.
 */
export function draw(canvas, image, values, card, most, opacity) {
  const longer = Math.max(image.width, image.height);
  const scale = Math.min(Math.max(longer, SIDES[0]), SIDES[1]) / longer;
  canvas.width = Math.max(1, Math.round(image.width * scale));
  canvas.height = Math.max(1, Math.round(image.height * scale));
  const context = canvas.getContext("2d");
  context.imageSmoothingEnabled = scale < 1;
  context.filter = "grayscale(1)";
  if (image instanceof ImageBitmap) context.drawImage(image, 0, 0, canvas.width, canvas.height);
  context.filter = "none";
  context.fillStyle = "rgba(255, 255, 255, 0.5)";
  context.fillRect(0, 0, canvas.width, canvas.height);

  const [rows, columns] = [values.length, values[0].length];
  const cells = new ImageData(columns, rows);
  values.flat().forEach((value, at) => cells.data.set([...colour(Math.max(-1, Math.min(value / most, 1))), 255], 4 * at));
  const small = new OffscreenCanvas(columns, rows);
  small.getContext("2d").putImageData(cells, 0, 0);
  const { across, down } = layout(card, image);
  const [left, right] = across.seen.map((place) => place * canvas.width);
  const [top, bottom] = down.seen.map((place) => place * canvas.height);
  context.save();
  context.beginPath();
  context.rect(left, top, right - left, bottom - top);
  context.clip();
  context.imageSmoothingEnabled = true;
  context.globalAlpha = opacity;
  context.drawImage(
    small,
    across.start * canvas.width,
    down.start * canvas.height,
    columns * across.step * canvas.width,
    rows * down.step * canvas.height,
  );
  context.restore();
}

/** Row and column of the patch at a place, given in shares of the image's sides; null where none is seen. */
export function patchAt(place, image, values, card) {
  const { across, down } = layout(card, image);
  const [row, column] = [number(place.down, down, values.length), number(place.across, across, values[0].length)];
  return row === null || column === null ? null : [row, column];
}

/** Where a patch lies on a picture, in shares of its sides: what is seen of its cell. */
export function boxOf(row, column, image, card) {
  const { across, down } = layout(card, image);
  const [left, right] = ends(across, column);
  const [top, bottom] = ends(down, row);
  return { left, top, width: right - left, height: bottom - top };
}

function ends({ start, step, seen }, number) {
  return [start + number * step, start + (number + 1) * step].map((end) => Math.min(Math.max(end, seen[0]), seen[1]));
}

function number(place, { start, step, seen }, count) {
  if (place < seen[0] || place > seen[1]) return null;
  return Math.min(Math.max(Math.floor((place - start) / step), 0), count - 1);
}
