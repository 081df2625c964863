// The list of neighbours; one of them can be explained at a time.

import * as api from "./api.js";
import { element, idText, part, percent, printed } from "./elements.js";
import { expectHit, showExplanation, showHit, showOwn } from "./maps.js";
import { fail } from "./messages.js";
import { shown } from "./shown.js";
import { showThumbnail } from "./thumbnails.js";

export function listNeighbours(neighbours) {
  part("neighbours").replaceChildren(...neighbours.map(entry));
  part("nearest-note").hidden = part("nats").hidden = neighbours.length === 0;
  part("nothing-searched").hidden = neighbours.length > 0;
  part("part-note").hidden = true;
  part("weak").textContent = weakness(shown.card);
}

/** List the items that hold a part of the photo, each with a frame around it. */
export function listParts(hits) {
  showOwn();
  part("neighbours").replaceChildren(...hits.map(partEntry));
  part("nearest-note").hidden = part("nats").hidden = true;
  part("part-note").hidden = hits.length === 0;
}

function partEntry({ id, score, region }) {
  const image = element("img", { alt: "" });
  const frame = element("i", { className: "part-frame", hidden: true });
  showThumbnail(image, id);
  frameOn(frame, id, region);
  const picture = element("span", { className: "framed" }, image, frame);
  return element("li", { className: "part" }, picture, element("b", { textContent: printed(score, 3) }), idText(id));
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
  const shares = [...share(above, "of the matches without the mark"), ...share(below, "of those with it")];
  return (
    `A match is marked as weak below ${printed(cosine, 2)}. Of the same class as the photo were ${shares.join(" and ")}, ` +
    `on ${images} images: ${split}.`
  );
}

function press(button, neighbour) {
  const pressed = button.getAttribute("aria-pressed") === "true";
  for (const other of part("neighbours").querySelectorAll("button")) other.setAttribute("aria-pressed", "false");
  if (pressed) return showOwn();
  button.setAttribute("aria-pressed", "true");
  showExplanation(neighbour);
  if (neighbour.explanation.hit === undefined) return expectHit(neighbour);
  return showOtherSide(neighbour);
}

/** Show the neighbour's own side where it is the one that is explained. */
export async function showOtherSide(neighbour) {
  if (shown.neighbour !== neighbour) return;
  if (!neighbour.explanation.hit) return void (part("hit-side").hidden = true);
  try {
    const picture = await createImageBitmap(await api.thumbnail(neighbour.id));
    if (shown.neighbour === neighbour) showHit(picture, neighbour);
  } catch (error) {
    fail(error);
  }
}
