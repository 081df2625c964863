// Draws a map in nats over a pale picture, as the service's own PNGs do: white is zero, red above and blue
// below, the same reach both ways, linear between the centres of patches.

// RdBu of ColorBrewer, turned round: told apart with every common colour blindness. page.css has the same.
const COLOURS = [
  0x053061, 0x2166ac, 0x4393c3, 0x92c5de, 0xd1e5f0, 0xf7f7f7, 0xfddbc7, 0xf4a582, 0xd6604d, 0xb2182b, 0x67001f,
];
const OVERLAY = 0.6;
const LEAST_REACH = 0.01;
const SIDES = [320, 720]; // of the canvas in pixels, the longer one

/** RGB of a share of the reach, -1 to 1. */
function colour(share) {
  const place = ((share + 1) / 2) * (COLOURS.length - 1);
  const low = Math.min(Math.floor(place), COLOURS.length - 2);
  return [16, 8, 0].map((shift) => {
    const [a, b] = [COLOURS[low], COLOURS[low + 1]].map((one) => (one >> shift) & 255);
    return a + (b - a) * (place - low);
  });
}

/** The scale's end in nats. */
export function reach(nats) {
  return Math.max(LEAST_REACH, ...nats.flat().map(Math.abs));
}

/** Where the map's first patch begins and how far apart patches are, in shares of the picture's sides. */
function layout(card) {
  const { stride, first_centre: centre } = card.patch_grid;
  const { width, height } = card.preprocessing;
  const start = centre - stride / 2;
  return { left: start / width, top: start / height, across: stride / width, down: stride / height };
}

/** Draw `nats`, rows of numbers, over an image (ImageBitmap) on a canvas. */
export function draw(canvas, image, nats, card) {
  const longer = Math.max(image.width, image.height);
  const scale = Math.min(Math.max(longer, SIDES[0]), SIDES[1]) / longer;
  canvas.width = Math.max(1, Math.round(image.width * scale));
  canvas.height = Math.max(1, Math.round(image.height * scale));
  const context = canvas.getContext("2d");
  context.imageSmoothingEnabled = scale < 1;
  context.filter = "grayscale(1)";
  context.drawImage(image, 0, 0, canvas.width, canvas.height);
  context.filter = "none";
  context.fillStyle = "rgba(255, 255, 255, 0.5)";
  context.fillRect(0, 0, canvas.width, canvas.height);

  const [rows, columns, most] = [nats.length, nats[0].length, reach(nats)];
  const cells = new ImageData(columns, rows);
  nats.flat().forEach((value, at) => cells.data.set([...colour(value / most), 255], 4 * at));
  const small = new OffscreenCanvas(columns, rows);
  small.getContext("2d").putImageData(cells, 0, 0);
  const at = layout(card);
  context.imageSmoothingEnabled = true;
  context.globalAlpha = OVERLAY;
  context.drawImage(
    small,
    at.left * canvas.width,
    at.top * canvas.height,
    columns * at.across * canvas.width,
    rows * at.down * canvas.height,
  );
  context.globalAlpha = 1;
}

/** Row and column of the patch at a place of the canvas, given in shares of its sides. */
export function patchAt(across, down, nats, card) {
  const at = layout(card);
  const clamp = (place, count) => Math.min(Math.max(Math.floor(place), 0), count - 1);
  return [
    clamp((down - at.top) / at.down, nats.length),
    clamp((across - at.left) / at.across, nats[0].length),
  ];
}
