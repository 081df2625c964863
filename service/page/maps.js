// The maps beside the photo: its own of the chosen kind, or those that explain a neighbour, on one fixed scale.

import { part, printed } from "./elements.js";
import { EXPLANATION_SIGNS, KINDS, scaleOf, valuesOf } from "./kinds.js";
import { MapView } from "./map_view.js";
import { shown } from "./shown.js";

const own = new MapView(part("map-side"));
const hit = new MapView(part("hit-side"));
let kind = "contribution";

const opacity = () => part("opacity").valueAsNumber / 100;
const radios = () => [...part("kinds").querySelectorAll("input")];

/** Show the photo's own map; a kind that this answer lacks says why, and the first other one is shown. */
export function showOwn() {
  shown.neighbour = null;
  hideHit();
  part("mapped").hidden = !shown.answer.maps;
  part("no-maps").hidden = Boolean(shown.answer.maps);
  part("save-picture").hidden = !shown.answer.maps;
  if (!shown.answer.maps) return own.hide();
  const maps = Object.fromEntries(shown.answer.maps.map((map) => [map.kind, map]));
  const missing = [];
  for (const radio of radios()) {
    const { error } = maps[radio.value];
    radio.disabled = Boolean(error);
    if (error) missing.push(`No ${radio.value}: ${error.message}`);
  }
  const name = maps[kind].error ? radios().find((radio) => !radio.disabled).value : kind;
  for (const radio of radios()) radio.checked = radio.value === name;
  const map = maps[name];
  const { question, holds, signs } = KINDS[name];
  part("question").textContent = [question, holds(shown.card, map.measured), ...missing].join(" ");
  const scale = scaleOf(name, shown.card, map.measured);
  const values = valuesOf(map);
  const sentence = `${name[0].toUpperCase()}${name.slice(1)} of each patch: ${printed(map.mean, 2)}${scale.unit} on average.`;
  show(values, scale, sentence, signs, [values]);
}

/** Show which patches of the photo speak for a neighbour. */
export function showExplanation(neighbour) {
  shown.neighbour = neighbour;
  hideHit();
  for (const radio of radios()) radio.checked = false;
  const { contrast } = neighbour.explanation;
  part("question").textContent =
    `Which patches speak for the match of the photo and ${neighbour.id}? The value is how much more a patch speaks ` +
    "for the other image than the patches of its own image do on average.";
  const sentence = `Patches of your photo that speak for ${neighbour.id}.`;
  show(contrast, scaleOf("contrast", shown.card), sentence, EXPLANATION_SIGNS, [contrast]);
}

/** Hold the place of the other side, which is on its way. */
export function expectHit(neighbour) {
  part("pictures").classList.add("explained");
  part("hit-plain").hidden = part("hit-side").hidden = false;
  part("hit-picture").removeAttribute("src");
  part("hit-picture").alt = `Picture of ${neighbour.id}`;
  part("hit-name").textContent = neighbour.id;
  part("hit-meaning").textContent = `The patches of ${neighbour.id} are being mapped …`;
}

/** Take the other side away. */
export function hideHit() {
  hit.hide();
  part("hit-plain").hidden = true;
  part("pictures").classList.remove("explained");
}

/** Show the neighbour's picture as it is, beside the place of its map. */
export async function showPlain(blob) {
  const image = part("hit-picture");
  const address = URL.createObjectURL(blob);
  image.src = address;
  // Another neighbour may take its place meanwhile.
  await image.decode().catch(() => {});
  URL.revokeObjectURL(address);
}

/** Scroll to the explanation where it is not in the window: with its question, or its maps alone where that is too long. */
export function scrollToExplanation() {
  const { top } = part("question").getBoundingClientRect();
  const { bottom } = part("pictures").getBoundingClientRect();
  if (top >= 0 && bottom <= innerHeight) return;
  part(bottom - top <= innerHeight ? "question" : "pictures").scrollIntoView();
}

/** Show the other side of the explanation, on the same scale. */
export function showHit(picture, neighbour) {
  const sentence = `Patches of ${neighbour.id} that speak for your photo, on the same scale.`;
  const values = neighbour.explanation.hit.contrast;
  hit.show({ picture, values, card: shown.card, scale: shown.scale }, sentence, opacity());
  showScale(shown.scale, EXPLANATION_SIGNS, [neighbour.explanation.contrast, values].flat(2));
  part("hit-meaning").textContent = sentence;
}

function show(values, scale, sentence, signs, all) {
  shown.scale = scale;
  own.show({ picture: shown.photo.picture, values, card: shown.card, scale }, sentence, opacity());
  part("meaning").textContent = sentence;
  showScale(scale, signs, all.flat(2));
}

/** Show as much of the scale as the signs of the values need, and what they say. */
function showScale({ most, unit }, [above, below], values) {
  const [least, greatest] = [Math.min(...values), Math.max(...values)];
  const range = least >= 0 ? "above" : greatest <= 0 ? "below" : "both";
  part("scale").className = range;
  const end = (beyond, sign) => `${beyond ? "beyond " : ""}${sign}${most.toFixed(1)}${unit}`;
  part("least").textContent = range === "above" ? "0" : end(least < -most, "−");
  part("most").textContent = range === "below" ? "0" : end(greatest > most, range === "both" ? "+" : "");
  part("above").textContent = range === "below" ? "" : `Red: ${above}.`;
  part("below").textContent = range === "above" ? "" : `Blue: ${below}.`;
}

part("opacity").addEventListener("input", () => {
  own.paint(opacity());
  hit.paint(opacity());
});
for (const radio of radios()) {
  radio.addEventListener("change", () => {
    kind = radio.value;
    part("neighbours").querySelector('[aria-pressed="true"]')?.setAttribute("aria-pressed", "false");
    showOwn();
  });
}
