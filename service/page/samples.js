// Example photographs to click, and sample images to search where nothing is searched yet.

import { answer, answerAgain } from "./answer.js";
import * as api from "./api.js";
import { part } from "./elements.js";
import { fail, tell } from "./messages.js";
import { shown } from "./shown.js";

const SAMPLES = "infomax-samples/"; // what their ids begin with; docs/samples.py has the same

/** Count what is searched, and offer samples where that is nothing. */
export async function count() {
  const { items, regions } = await api.indexed();
  Object.assign(shown, { items, regions });
  part("index").textContent = items
    ? `${items.toLocaleString("en")} ${items === 1 ? "image is" : "images are"} searched.`
    : "No images are searched yet.";
  part("samples").hidden = items > 0;
  part("browser").hidden = part("plane-side").hidden = items === 0;
  part("no-samples").hidden = !items || !(await api.has(SAMPLES));
}

/** After images were added or removed: count them, and look for the photo's neighbours among them. */
export async function searchAgain() {
  await count();
  await answerAgain();
  document.dispatchEvent(new Event("index-changed"));
}

/** Do what a button is for, once at a time, and search anew; `change` says in a sentence what it has done. */
export async function press(button, change) {
  button.disabled = true;
  try {
    const done = await change();
    await searchAgain();
    tell(done);
  } catch (error) {
    fail(error);
  }
  button.disabled = false;
}

async function add() {
  return `${await api.storeAll(await api.samples())} sample images added.`;
}

async function remove() {
  const removed = await api.removeAll(SAMPLES);
  part("notice").hidden = true;
  return `${removed} sample images removed.`;
}

/** Answer an example; where nothing is searched yet, add the samples first, and say so. */
async function answerExample(image) {
  try {
    tell("Looking at the example …");
    // Counting takes a request of its own, and an index that holds items is seldom emptied meanwhile.
    if (shown.items === 0 && (await api.indexed()).items === 0) {
      tell("Adding sample photographs to search …");
      await add();
      part("notice").hidden = false;
      await count();
      document.dispatchEvent(new Event("index-changed"));
    }
    const name = image.getAttribute("src").split("/").pop();
    const picture = await (await fetch(image.src)).blob();
    await answer(new File([picture], name, { type: picture.type }));
  } catch (error) {
    fail(error);
  }
}

part("samples").addEventListener("click", () => press(part("samples"), add));
for (const button of [part("no-samples"), part("undo")]) {
  button.addEventListener("click", () => press(button, remove));
}
for (const button of part("examples").querySelectorAll("button")) {
  button.addEventListener("click", () => answerExample(button.querySelector("img")));
}
