// The list of neighbours; one of them can be explained at a time.

import * as api from "./api.js";
import { element, idText, part, percent, printed } from "./elements.js";
import { expectHit, hideHit, scrollToExplanation, showExplanation, showHit, showOwn, showPlain } from "./maps.js";
import { fail } from "./messages.js";
import { shown } from "./shown.js";
import { showThumbnail } from "./thumbnails.js";

const pictures = new WeakMap(); // of neighbours that were explained: Blobs

export function listNeighbours(neighbours) {
  part("neighbours").replaceChildren(...neighbours.map(entry));
  part("nearest-note").hidden = part("nats").hidden = neighbours.length === 0;
  part("nothing-searched").hidden = neighbours.length > 0;
  part("part-note").hidden = true;
  part("weak").textContent = weakness(shown.card);
}

/** List the items of an answer to a part of the photo, each with a frame around it; `open` takes the one that is clicked. */
export function listParts({ neighbours: hits, items_without_regions: without }, open) {
  showOwn();
  part("neighbours").replaceChildren(...hits.map((hit) => partEntry(hit, open)));
  part("nearest-note").hidden = part("nats").hidden = true;
  part("part-note").hidden = hits.length === 0 && without === 0;
  part("without-parts").textContent = without
    ? `${without.toLocaleString("en")} ${without === 1 ? "item has" : "items have"} no regions, and cannot be found by a part.`
    : "";
}

function partEntry({ id, score, region }, open) {
  const image = element("img", { alt: "" });
  const frame = element("i", { className: "part-frame", hidden: true });
  showThumbnail(image, id);
  frameOn(frame, id, region);
  const picture = element("span", { className: "framed" }, image, frame);
  const button = element("button", { type: "button", className: "part" });
  button.append(picture, element("b", { textContent: printed(score, 3) }), idText(id));
  button.addEventListener("click", async () => {
    try {
      await open(await api.item(id));
    } catch (error) {
      fail(error);
    }
  });
  return element("li", {}, button);
}

/** Place a frame on a thumbnail, a square in which the whole image is shown. */
async function frameOn(frame, id, [x, y, width, height]) {
  try {
    const size = await api.item(id);
    const longer = Math.max(size.width, size.height);
    const left = (longer - size.width) / 2 + x;
    const top = (longer - size.height) / 2 + y;
    for (const [side, pixels] of Object.entries({ left, top, width, height })) frame.style[side] = `${(100 * pixels) / longer}%`;
    frame.hidden = false;
  } catch {
    // The item was removed meanwhile: it has no place to show.
  }
}

/** Show the photo's own map again, where a neighbour is explained. */
export function unpress() {
  part("neighbours").querySelector('button[aria-pressed="true"]')?.click();
}

function entry(neighbour) {
  const button = element("button", { type: "button", disabled: !neighbour.explanation });
  button.setAttribute("aria-pressed", "false");
  button.dataset.id = neighbour.id;
  const image = element("img", { alt: "" });
  // A hit without an explanation is a bare vector, and has no picture to ask for.
  showThumbnail(image, neighbour.explanation === null ? null : neighbour.id);
  button.append(image, element("b", { textContent: printed(neighbour.score, 3) }), idText(neighbour.id));
  if (isWeak(neighbour)) {
    button.classList.add("weak");
    button.append(element("em", { textContent: "weak match" }));
  }
  button.addEventListener("click", () => press(button, neighbour));
  return element("li", {}, button);
}

/**
 * Whether a match is weak by the model's card: less than half of those with such a cosine were right.
 *
 * Where the card states no such measure, the mean of the explanation decides: halfway from an image's own code to a
 * stranger's.
 */
function isWeak({ score, explanation }) {
  const { neighbours, calibration } = shown.card;
  if (neighbours) return score < neighbours.cosine;
  return Boolean(explanation) && explanation.mean < (calibration.mi_nats + calibration.shuffled_nats) / 2;
}

/** What the mark of a weak match says, and what it is measured on. */
function weakness({ neighbours }) {
  if (!neighbours) {
    return (
      "A match is marked as weak where the patches of your photo fit that image hardly better than one picked at " +
      "random. A match without the mark may still be wrong: the model's card states no measure of that."
    );
  }
  const { cosine, above, below, images, split } = neighbours;
  const share = (part, where) => (part === null ? [] : [`${percent(part)} ${where}`]);
  const shares = [...share(above, "of unmarked matches"), ...share(below, "of marked ones")];
  return (
    `A match is marked as weak below ${printed(cosine, 2)}. ${shares.join(" and ")} were of the photo's class, ` +
    `on ${images} images: ${split}.`
  );
}

function press(button, neighbour) {
  const pressed = button.getAttribute("aria-pressed") === "true";
  const { top } = button.getBoundingClientRect();
  for (const other of part("neighbours").querySelectorAll("button")) other.setAttribute("aria-pressed", "false");
  button.setAttribute("aria-pressed", String(!pressed));
  if (pressed) showOwn();
  else explain(neighbour);
  // What is above has another height now; the row stays where it was clicked.
  scrollBy(0, button.getBoundingClientRect().top - top);
  if (!pressed) scrollToExplanation();
}

function explain(neighbour) {
  showExplanation(neighbour);
  if (neighbour.explanation.hit === null) return;
  expectHit(neighbour);
  if (neighbour.explanation.hit) showOtherSide(neighbour);
  // That it cannot be had is said with its map.
  else showPicture(neighbour).catch(() => {});
}

/** Show the neighbour's picture where it is the one that is explained; the picture, as a Blob. */
async function showPicture(neighbour) {
  if (!pictures.has(neighbour)) pictures.set(neighbour, await api.thumbnail(neighbour.id));
  const picture = pictures.get(neighbour);
  if (shown.neighbour === neighbour) await showPlain(picture);
  return picture;
}

/** Show the neighbour's own side where it is the one that is explained. */
export async function showOtherSide(neighbour) {
  if (shown.neighbour !== neighbour) return;
  if (!neighbour.explanation.hit) return hideHit();
  try {
    const picture = await createImageBitmap(await showPicture(neighbour));
    if (shown.neighbour === neighbour) showHit(picture, neighbour);
  } catch (error) {
    fail(error);
  }
}
