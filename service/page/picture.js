// What is shown of a photo as one picture: photo, maps and scale, each with its words.

import { colour } from "./map.js";

const SIDE = 480; // pixels of a picture's width
const GAP = 24;
const LINE = 22;
const FONT = "16px system-ui, sans-serif";
const BAR = { width: 300, height: 14 };

/**
 * Draw pictures side by side on white, each over its caption, with the scale and sentences below.
 *
 * @param {{image: CanvasImageSource, width: number, height: number, caption: string}[]} pictures
 * @param {{most: number, range: string, least: string, greatest: string}} scale
 * @param {string[]} sentences
 * @returns {Promise<Blob>} a PNG
 */
export async function pictureOf(pictures, scale, sentences) {
  const measure = new OffscreenCanvas(1, 1).getContext("2d");
  measure.font = FONT;
  const across = GAP + pictures.length * (SIDE + GAP);
  const heights = pictures.map(({ width, height }) => Math.round((SIDE * height) / width));
  const captions = pictures.map(({ caption }) => lines(measure, caption, SIDE));
  const words = sentences.flatMap((sentence) => lines(measure, sentence, across - 2 * GAP));
  const below = GAP + Math.max(...heights.map((height, at) => height + captions[at].length * LINE)) + GAP;
  const canvas = new OffscreenCanvas(across, below + 2 * LINE + words.length * LINE + GAP);
  const context = canvas.getContext("2d");
  context.fillStyle = "white";
  context.fillRect(0, 0, canvas.width, canvas.height);
  context.font = FONT;
  context.textBaseline = "top";
  pictures.forEach(({ image }, at) => {
    const left = GAP + at * (SIDE + GAP);
    context.drawImage(image, left, GAP, SIDE, heights[at]);
    write(context, captions[at], left, GAP + heights[at] + 6);
  });
  drawScale(context, scale, below);
  write(context, words, GAP, below + 2 * LINE);
  return canvas.convertToBlob({ type: "image/png" });
}

function drawScale(context, { range, least, greatest }, top) {
  context.fillStyle = "black";
  context.fillText(least, GAP, top);
  const left = GAP + context.measureText(least).width + 8;
  const [from, to] = { both: [-1, 1], above: [0, 1], below: [-1, 0] }[range];
  for (let at = 0; at < BAR.width; at += 1) {
    const share = from + ((to - from) * (at + 0.5)) / BAR.width;
    context.fillStyle = `rgb(${colour(share).map(Math.round).join(" ")})`;
    context.fillRect(left + at, top + 2, 1, BAR.height);
  }
  context.fillStyle = "black";
  context.fillText(greatest, left + BAR.width + 8, top);
}

function write(context, texts, left, top) {
  context.fillStyle = "black";
  texts.forEach((text, at) => context.fillText(text, left, top + at * LINE));
}

/** Break a text into lines of at most this width; a word that is wider stands alone. */
function lines(context, text, width) {
  const broken = [""];
  for (const word of text.split(/\s+/).filter(Boolean)) {
    const longer = `${broken.at(-1)} ${word}`.trim();
    if (context.measureText(longer).width <= width || broken.at(-1) === "") broken[broken.length - 1] = longer;
    else broken.push(word);
  }
  return broken.filter(Boolean);
}
