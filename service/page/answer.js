// The answer to a photo: sent once, it brings maps, neighbours and embedding.

import * as api from "./api.js";
import { part } from "./elements.js";
import { showRequest } from "./export.js";
import { showOwn } from "./maps.js";
import { fail, tell } from "./messages.js";
import { listNeighbours } from "./neighbours.js";
import { shown } from "./shown.js";

const SMALL = 256; // pixels of the longer side, below which a photo is shown by its pixels

let asked = 0; // photos, so that a late answer to an earlier one is not shown

export async function answer(file) {
  const turn = ++asked;
  const started = performance.now();
  tell(`Looking at ${file.name} …`);
  try {
    // Where the browser cannot read it, the service says why, or answers all the same.
    const reading = createImageBitmap(file).catch(() => null);
    const found = await api.search(file);
    const bitmap = await reading;
    if (turn !== asked) return;
    // Most browsers show neither HEIC nor TIFF; the map is then drawn over an empty area of the photo's shape.
    const { width, height } = bitmap ?? found.image;
    showPhoto(file, bitmap, width, height);
    showAnswer({ file, picture: bitmap ?? { width, height } }, found);
    part("answer").hidden = false;
    part("key").hidden = true;
    tell(`Answered in ${Math.round(performance.now() - started)} ms.`);
  } catch (error) {
    if (turn !== asked) return;
    clear();
    fail(error);
  }
}

/** Ask for the photo's answer anew, after the index or the model has changed. */
export async function answerAgain() {
  const photo = shown.photo;
  if (!photo) return;
  const found = await api.search(photo.file);
  if (photo === shown.photo) showAnswer(photo, found);
}

/** Take the answer to an earlier photo away. */
export function clear() {
  shown.photo = null;
  part("answer").hidden = true;
}

function showAnswer(photo, found) {
  Object.assign(shown, { photo, answer: found });
  showOwn();
  listNeighbours(found.neighbours);
  showRequest();
  document.dispatchEvent(new Event("photo-answered"));
}

function showPhoto(file, bitmap, width, height) {
  const original = part("original");
  URL.revokeObjectURL(original.src);
  original.hidden = !bitmap;
  original.src = bitmap ? URL.createObjectURL(file) : "";
  original.classList.toggle("small", Math.max(width, height) < SMALL);
  part("name").textContent = `${file.name}, ${width} × ${height}${bitmap ? "" : " (this browser cannot show it)"}`;
}
