// The page: a photo in; its map, its neighbours, and why. What it knows of the service is in api.js.

import * as api from "./api.js";
import { draw, patchAt, reach } from "./map.js";

const NEIGHBOURS = 12;
const AT_A_TIME = 4; // images on their way into the index
const MOST_REFUSED = 20; // that are named
const SAMPLES = "infomax-samples/"; // what their ids begin with; docs/samples.py has the same

const part = (id) => document.getElementById(id);

// What is shown: the card, the photo (file, bitmap), its own map, and the map on the canvas.
const shown = { card: null, photo: null, own: null, values: null, unit: "", patch: null };
let asked = 0; // photos, so that a late answer to an earlier one is not shown

/** A number as it is printed, with a minus sign. */
function printed(value, digits) {
  return value.toFixed(digits).replace("-", "−");
}

function tell(text, failed = false) {
  part("status").textContent = text;
  part("status").setAttribute("role", failed ? "alert" : "status");
  part("message").classList.toggle("failed", failed);
  part("message").hidden = !text;
  part("dismiss").hidden = !failed;
}

/** Show a failure, and ask for a key where that was all that was missing. */
function fail(error) {
  part("key").hidden = !(error instanceof api.KeyNeeded);
  tell(error.message, true);
}

/** Take the answer to an earlier photo away. */
function clear() {
  shown.photo = null;
  part("answer").hidden = true;
}

/** Show a map; `unit` is written behind its numbers, with a space before it, where it has one. */
function show(values, sentence, unit, most = reach(values)) {
  Object.assign(shown, { values, unit, patch: null });
  draw(part("map"), shown.photo.bitmap, values, shown.card, most);
  part("meaning").textContent = sentence;
  part("map").setAttribute("aria-label", sentence);
  part("least").textContent = `−${most.toFixed(1)}`;
  part("most").textContent = `+${most.toFixed(1)}${unit}`;
  part("patch").textContent = "";
}

function showOwn() {
  part("hit-side").hidden = true;
  const mean = printed(shown.own.mean, 2);
  show(shown.own.values, `How far the code moves without each patch: ${mean} on average.`, "");
}

function showNeighbour(button, neighbour) {
  const pressed = button.getAttribute("aria-pressed") === "true";
  for (const other of part("neighbours").querySelectorAll("button")) other.setAttribute("aria-pressed", "false");
  if (pressed) return showOwn();
  button.setAttribute("aria-pressed", "true");
  const { contrast, hit } = neighbour.explanation;
  const most = Math.max(reach(contrast), hit ? reach(hit.contrast) : 0);
  show(contrast, `Patches of your photo that speak for ${neighbour.id}: red more than the rest, blue less.`, " nats", most);
  showHit(neighbour, most);
}

/** Show the other side: the hit's patches against the photo, on the same scale. */
async function showHit(neighbour, most) {
  const { hit } = neighbour.explanation;
  part("hit-side").hidden = true;
  if (!hit) return;
  const photo = shown.photo;
  try {
    const bitmap = await createImageBitmap(await api.thumbnail(neighbour.id));
    if (photo !== shown.photo || chosenNeighbour() !== neighbour.id) return;
    const sentence = `Patches of ${neighbour.id} that speak for your photo, on the same scale.`;
    draw(part("hit"), bitmap, hit.contrast, shown.card, most);
    part("hit").setAttribute("aria-label", sentence);
    part("hit-meaning").textContent = sentence;
    part("hit-side").hidden = false;
  } catch (error) {
    fail(error);
  }
}

function chosenNeighbour() {
  return part("neighbours").querySelector('button[aria-pressed="true"]')?.dataset.id;
}

/** The mean of an explanation halfway from an image's own code to a stranger's, in nats, by the model's card. */
function weakBelow() {
  const { mi_nats: own, shuffled_nats: stranger } = shown.card.calibration;
  return (own + stranger) / 2;
}

function entry(neighbour) {
  const button = document.createElement("button");
  button.type = "button";
  button.disabled = !neighbour.explanation;
  button.setAttribute("aria-pressed", "false");
  button.dataset.id = neighbour.id;
  if (neighbour.explanation?.hit) {
    const image = document.createElement("img");
    image.alt = "";
    image.addEventListener("load", () => URL.revokeObjectURL(image.src));
    api.thumbnail(neighbour.id).then((picture) => (image.src = URL.createObjectURL(picture)), fail);
    button.append(image);
  }
  const score = document.createElement("b");
  score.textContent = printed(neighbour.score, 3);
  button.append(score, neighbour.id);
  if (neighbour.explanation && neighbour.explanation.mean < weakBelow()) {
    button.classList.add("weak");
    button.append(Object.assign(document.createElement("em"), { textContent: "weak match" }));
  }
  button.addEventListener("click", () => showNeighbour(button, neighbour));
  const item = document.createElement("li");
  item.append(button);
  return item;
}

function listNeighbours(neighbours) {
  part("neighbours").replaceChildren(...neighbours.map(entry));
  part("nearest-note").textContent = neighbours.length
    ? "The number is the cosine of both embeddings. Choose one to see which patches of your photo speak for it. " +
      `A match is weak where the patches speak for it by less than ${printed(weakBelow(), 1)} nats on average: by the ` +
      "model's card, that is nearer to a stranger's code than to the photo's own. 1 nat is a factor of 2.7 in likelihood."
    : "Nothing is searched yet: add images below.";
}

async function answer(file) {
  const turn = ++asked;
  const started = performance.now();
  tell(`Looking at ${file.name} …`);
  try {
    shown.card ??= await api.card();
    // Where neither can read it, the service says why.
    const reading = createImageBitmap(file).catch(() => null);
    const [own, neighbours] = await Promise.all([api.mapOf(file), api.neighboursOf(file, NEIGHBOURS)]);
    const bitmap = await reading;
    if (turn !== asked) return;
    // Most browsers show neither HEIC nor TIFF; the map is then drawn over an empty area of the photo's shape.
    const { width, height } = bitmap ?? own.image;
    Object.assign(shown, { photo: { file, bitmap: bitmap ?? { width, height } }, own });
    URL.revokeObjectURL(part("original").src);
    part("original").hidden = !bitmap;
    part("original").src = bitmap ? URL.createObjectURL(file) : "";
    part("original").classList.toggle("small", Math.max(width, height) < 256);
    part("name").textContent = `${file.name}, ${width} × ${height}${bitmap ? "" : " (this browser cannot show it)"}`;
    part("answer").hidden = false;
    showOwn();
    listNeighbours(neighbours);
    part("key").hidden = true;
    tell(`Answered in ${Math.round(performance.now() - started)} ms.`);
  } catch (error) {
    if (turn !== asked) return;
    clear();
    fail(error);
  }
}

/** Answer an example; where nothing is searched yet, add the samples first, and say so. */
async function answerExample(image) {
  try {
    tell("Looking at the example …");
    if ((await api.indexed()) === 0) {
      tell("Adding sample photographs to search …");
      await addSamples();
      part("notice").hidden = false;
      await count();
    }
    const name = image.getAttribute("src").split("/").pop();
    const picture = await (await fetch(image.src)).blob();
    await answer(new File([picture], name, { type: picture.type }));
  } catch (error) {
    clear();
    fail(error);
  }
}

async function count() {
  try {
    const items = await api.indexed();
    part("index").textContent = items
      ? `${items.toLocaleString("en")} images are searched.`
      : "No images are searched yet.";
    part("samples").hidden = items > 0;
    part("no-samples").hidden = !items || !(await api.has(SAMPLES));
  } catch (error) {
    fail(error);
  }
}

async function add(files) {
  const images = [...files].filter((file) => !file.name.startsWith("."));
  const waiting = [...images];
  const refused = [];
  const progress = part("progress");
  Object.assign(progress, { hidden: false, max: images.length, value: 0 });
  part("refused").replaceChildren();

  async function work() {
    for (let file = waiting.shift(); file; file = waiting.shift()) {
      try {
        await api.store(file.webkitRelativePath || file.name, file);
      } catch (error) {
        refused.push(`${file.name}: ${error.message}`);
        if (error instanceof api.KeyNeeded) {
          waiting.length = 0;
          fail(error);
        }
      }
      progress.value += 1;
    }
  }

  await Promise.all(Array.from({ length: AT_A_TIME }, work));
  progress.hidden = true;
  const lines = refused.slice(0, MOST_REFUSED);
  if (refused.length > lines.length) lines.push(`… and ${refused.length - lines.length} more`);
  part("refused").replaceChildren(
    ...lines.map((line) => Object.assign(document.createElement("li"), { textContent: line })),
  );
  try {
    await searchAgain();
    tell(`${images.length - refused.length} of ${images.length} images added.`);
  } catch (error) {
    fail(error);
  }
}

/** Do what a button is for, once at a time, and search anew; `change` says in a sentence what it has done. */
async function press(button, change) {
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

async function addSamples() {
  return `${await api.storeAll(await api.samples())} sample images added.`;
}

async function removeSamples() {
  const removed = await api.remove(SAMPLES);
  part("notice").hidden = true;
  return `${removed} sample images removed.`;
}

/** After images were added or removed: count them, and look for the photo's neighbours among them. */
async function searchAgain() {
  await count();
  const photo = shown.photo;
  if (!photo) return;
  const neighbours = await api.neighboursOf(photo.file, NEIGHBOURS);
  if (photo !== shown.photo) return;
  showOwn();
  listNeighbours(neighbours);
}

async function begin() {
  try {
    shown.card = await api.card();
    const { name, version, summary } = shown.card;
    part("model").textContent = `${name}/${version}`;
    part("model").title = summary;
    part("key").hidden = true;
    tell("");
    await count();
  } catch (error) {
    fail(error);
  }
}

/** Files of an input, which can then be chosen a second time. */
function chosen(input, use) {
  input.addEventListener("change", () => {
    const files = [...input.files];
    input.value = "";
    if (files.length) use(files);
  });
}

chosen(part("photo"), ([file]) => answer(file));
chosen(part("images"), add);
chosen(part("folder"), add);
part("samples").addEventListener("click", () => press(part("samples"), addSamples));
for (const button of [part("no-samples"), part("undo")]) {
  button.addEventListener("click", () => press(button, removeSamples));
}
for (const button of part("examples").querySelectorAll("button")) {
  button.addEventListener("click", () => answerExample(button.querySelector("img")));
}
part("dismiss").addEventListener("click", () => tell(""));
document.addEventListener("keydown", (event) => {
  if (event.key !== "Escape" || part("several").open) return;
  tell("");
  if (shown.photo) part("neighbours").querySelector('button[aria-pressed="true"]')?.click();
});

part("key").addEventListener("submit", (event) => {
  event.preventDefault();
  api.useKey(part("key-text").value.trim());
  begin();
});

part("map").addEventListener("pointermove", (event) => {
  const { width, height } = part("map").getBoundingClientRect();
  const place = { across: event.offsetX / width, down: event.offsetY / height };
  const patch = patchAt(place, shown.photo.bitmap, shown.values, shown.card);
  if (!patch) return void (part("patch").textContent = "The model does not see this part of the photo.");
  showPatch(...patch);
});

/** Print a patch's value, which a screen reader reads too. */
function showPatch(row, column) {
  shown.patch = [row, column];
  part("patch").textContent = `Patch ${row + 1}, ${column + 1}: ${printed(shown.values[row][column], 2)}${shown.unit}`;
}

const STEPS = { ArrowUp: [-1, 0], ArrowDown: [1, 0], ArrowLeft: [0, -1], ArrowRight: [0, 1] };
part("map").addEventListener("keydown", (event) => {
  const step = STEPS[event.key];
  if (!step) return;
  event.preventDefault();
  const sides = [shown.values.length, shown.values[0].length];
  // The first key shows the middle, the next ones go on from there.
  const from = shown.patch ?? sides.map((side, axis) => Math.floor(side / 2) - step[axis]);
  showPatch(...sides.map((side, axis) => Math.min(Math.max(from[axis] + step[axis], 0), side - 1)));
});
part("map").addEventListener("pointerleave", () => {
  part("patch").textContent = "";
});

document.addEventListener("dragover", (event) => {
  event.preventDefault();
  part("drop").classList.add("over");
});
document.addEventListener("dragleave", (event) => {
  if (!event.relatedTarget) part("drop").classList.remove("over");
});
document.addEventListener("drop", (event) => {
  event.preventDefault();
  part("drop").classList.remove("over");
  const files = [...event.dataTransfer.files];
  if (files.length === 1) answer(files[0]);
  else if (files.length > 1) askAbout(files);
});

/** Ask what several dropped files are for: only adding stores them. */
function askAbout(files) {
  part("several-text").textContent = `${files.length} files were dropped.`;
  const dialog = part("several");
  dialog.returnValue = "";
  dialog.onclose = () => {
    if (dialog.returnValue === "first") answer(files[0]);
    if (dialog.returnValue === "add") add(files);
  };
  dialog.showModal();
}
for (const button of part("several").querySelectorAll("button")) {
  button.addEventListener("click", () => part("several").close(button.value));
}
document.addEventListener("paste", (event) => {
  const [file] = event.clipboardData.files;
  if (file) answer(file);
});

begin();
