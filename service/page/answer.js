// The answer to a photo or an item: what is known at once is shown at once, the rest where it comes.

import * as api from "./api.js";
import { part } from "./elements.js";
import { showRequest } from "./export.js";
import { showOwn } from "./maps.js";
import { fail, tell } from "./messages.js";
import { listNeighbours, showOtherSide } from "./neighbours.js";
import { smaller } from "./picture_size.js";
import { shown } from "./shown.js";

const SMALL = 256; // pixels of the longer side, below which a photo is shown by its pixels

let asked = 0; // photos, so that a late answer to an earlier one is not shown

/** Answer a picture from the user's disk, or an example. */
export function answer(file) {
  // Where the browser cannot read it, the service says why, or answers all the same.
  return show({ name: file.name, file }, async () => file);
}

/** Answer an item of the index, {id, width, height}; one without a size is a bare vector, and has no picture. */
export async function answerItem({ id, width, height }) {
  const bare = width === null;
  const size = bare ? null : { width, height };
  const answered = await show({ name: id, id, bare, size }, async () => (bare ? null : api.thumbnail(id)));
  if (answered) part("answer").scrollIntoView();
}

/** Show the answer to a source; whether there is one. What fails leaves the answer before it as it is. */
async function show(source, load) {
  const turn = ++asked;
  const started = performance.now();
  tell(`Looking at ${source.name} …`);
  try {
    const reading = read(load);
    const parts = api.search(source);
    const { value: found } = await parts.next();
    const { blob, bitmap } = await reading;
    if (turn !== asked) {
      parts.return();
      return false;
    }
    // Most browsers show neither HEIC nor TIFF; the map is then drawn over an empty area of the photo's shape.
    const picture = (bitmap && (await smaller(bitmap))) ?? found.image;
    // An item is mapped by the picture that is kept of it, which may be smaller than its image was.
    const size = source.size ?? found.image;
    showPhoto(source.name, blob, bitmap, size);
    showAnswer({ ...source, picture, size }, found, parts);
    part("answer").hidden = false;
    part("key").hidden = true;
    tell(`Answered in ${Math.round(performance.now() - started)} ms.`);
    return true;
  } catch (error) {
    if (turn === asked) fail(error);
    return false;
  }
}

async function read(load) {
  try {
    const blob = await load();
    return { blob, bitmap: blob && (await createImageBitmap(blob)) };
  } catch {
    return { blob: null, bitmap: null };
  }
}

/** Ask for the photo's answer anew, after the index or the model has changed. */
export async function answerAgain() {
  const photo = shown.photo;
  if (!photo) return;
  const parts = api.search(photo);
  const { value: found } = await parts.next();
  if (photo === shown.photo) showAnswer(photo, found, parts);
}

function showAnswer(photo, found, parts) {
  Object.assign(shown, { photo, answer: found, parts: null });
  shown.complete = follow(found, parts);
  showOwn();
  listNeighbours(found.neighbours);
  showRequest();
  document.dispatchEvent(new Event("photo-answered"));
}

/** Take the neighbours' sides as they come, for as long as their answer is shown. */
async function follow(found, parts) {
  try {
    for await (const { id, hit } of parts) {
      if (shown.answer !== found) return;
      const neighbour = found.neighbours.find((one) => one.id === id);
      if (!neighbour) continue;
      neighbour.explanation.hit = hit;
      showOtherSide(neighbour);
    }
  } catch (error) {
    if (shown.answer === found) fail(error);
  }
}

function showPhoto(name, blob, bitmap, size) {
  const original = part("original");
  URL.revokeObjectURL(original.src);
  original.hidden = !bitmap;
  original.src = bitmap ? URL.createObjectURL(blob) : "";
  original.classList.toggle("small", Boolean(size) && Math.max(size.width, size.height) < SMALL);
  const remark = bitmap ? "" : size ? " (this browser cannot show it)" : " (no picture is kept)";
  part("name").textContent = `${name}${size ? `, ${size.width} × ${size.height}` : ""}${remark}`;
}
