// The list of neighbours; one of them can be explained at a time.

import * as api from "./api.js";
import { element, part, printed } from "./elements.js";
import { showExplanation, showHit, showOwn } from "./maps.js";
import { fail } from "./messages.js";
import { shown } from "./shown.js";
import { showThumbnail } from "./thumbnails.js";

export function listNeighbours(neighbours) {
  part("neighbours").replaceChildren(...neighbours.map(entry));
  part("nearest-note").hidden = part("nats").hidden = neighbours.length === 0;
  part("nothing-searched").hidden = neighbours.length > 0;
  part("weak").textContent = printed(weakBelow(), 1);
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
  showThumbnail(image, neighbour.explanation?.hit ? neighbour.id : null);
  button.append(image, element("b", { textContent: printed(neighbour.score, 3) }), neighbour.id);
  if (neighbour.explanation && neighbour.explanation.mean < weakBelow()) {
    button.classList.add("weak");
    button.append(element("em", { textContent: "weak match" }));
  }
  button.addEventListener("click", () => press(button, neighbour));
  return element("li", {}, button);
}

/** The mean of an explanation halfway from an image's own code to a stranger's, in nats, by the model's card. */
function weakBelow() {
  const { mi_nats: own, shuffled_nats: stranger } = shown.card.calibration;
  return (own + stranger) / 2;
}

async function press(button, neighbour) {
  const pressed = button.getAttribute("aria-pressed") === "true";
  for (const other of part("neighbours").querySelectorAll("button")) other.setAttribute("aria-pressed", "false");
  if (pressed) return showOwn();
  button.setAttribute("aria-pressed", "true");
  showExplanation(neighbour);
  if (!neighbour.explanation.hit) return;
  try {
    const picture = await createImageBitmap(await api.thumbnail(neighbour.id));
    if (shown.neighbour === neighbour) showHit(picture, neighbour);
  } catch (error) {
    fail(error);
  }
}
