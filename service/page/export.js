// What can be taken along: the picture, the service's answer, and the request as text.

import * as api from "./api.js";
import { element, part } from "./elements.js";
import { fail, tell } from "./messages.js";
import { pictureOf } from "./picture.js";
import { shown } from "./shown.js";
import { asCurl, asPython } from "./snippets.js";

/** Write the request for the photo that is shown, or for a region of it. */
export function showRequest(region = null) {
  const { path, json } = api.searchRequest(shown.photo, region);
  const url = new URL(path, document.baseURI).href;
  const request = { url, name: shown.photo.name, json, withKey: api.hasKey() };
  part("curl").textContent = asCurl(request);
  part("python").textContent = asPython(request);
}

function save(blob, ending) {
  const href = URL.createObjectURL(blob);
  const name = shown.photo.name.split("/").pop().replace(/\.[^.]+$/, "");
  element("a", { href, download: `${name}.${ending}` }).click();
  // The browser has begun to read it by then.
  setTimeout(() => URL.revokeObjectURL(href), 60_000);
}

async function saveJson() {
  await shown.complete;
  save(new Blob([`${JSON.stringify(shown.parts ?? shown.answer, null, 1)}\n`], { type: "application/json" }), "json");
}

async function savePicture() {
  const { picture } = shown.photo;
  const photo = picture instanceof ImageBitmap ? [column(picture, part("name"))] : [];
  const hit = shown.neighbour && !part("hit-side").hidden ? [...plainHit(), column(part("hit"), part("hit-meaning"))] : [];
  const scale = {
    range: part("scale").className,
    least: part("least").textContent,
    greatest: part("most").textContent,
  };
  const signs = `${part("above").textContent} ${part("below").textContent}`;
  const source = `${shown.answer.model}, ${document.title}`;
  save(await pictureOf([...photo, column(part("map"), part("meaning")), ...hit], scale, [signs, part("question").textContent, source]), "png");
}

/** The neighbour's picture without its map, once it is there. */
function plainHit() {
  const image = part("hit-picture");
  const { naturalWidth: width, naturalHeight: height } = image;
  return width ? [{ image, width, height, caption: part("hit-name").textContent }] : [];
}

function column(image, caption) {
  return { image, width: image.width, height: image.height, caption: caption.textContent };
}

/** Copy a text; where the browser forbids it, as over plain HTTP, select the text instead. */
async function copy(source) {
  try {
    await navigator.clipboard.writeText(source.textContent);
    tell("Copied.");
  } catch {
    getSelection().selectAllChildren(source);
    tell("This browser does not copy for pages without HTTPS. The text is selected: copy it by key.");
  }
}

part("save-picture").addEventListener("click", () => savePicture().catch(fail));
part("save-json").addEventListener("click", () => saveJson().catch(fail));
for (const name of ["curl", "python"]) {
  part(`copy-${name}`).addEventListener("click", () => copy(part(name)));
}
