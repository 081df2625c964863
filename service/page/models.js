// The chooser of the model, with what its card says of it.

import { answerAgain } from "./answer.js";
import * as api from "./api.js";
import { element, part, percent } from "./elements.js";
import { fail, tell } from "./messages.js";
import { count } from "./samples.js";
import { shown } from "./shown.js";

const PROBES = {
  linear: "a linear classifier",
  knn: "nearest neighbours",
  weighted_knn: "weighted nearest neighbours",
  svm: "a linear SVM",
  nonlinear: "a small network",
};

const NEAREST = ["knn", "weighted_knn"];
const EMBEDDING = "embedding"; // as scores name what searches compare

let served = [];

/** List the models, and show the one that is chosen. */
export async function listModels() {
  served = await api.models();
  const select = part("model");
  const before = select.value;
  select.replaceChildren(...served.map(({ id }) => element("option", { value: id, textContent: id })));
  if (served.some(({ id }) => id === before)) select.value = before;
  choose();
}

function choose() {
  const place = part("model").selectedIndex;
  // The default model is asked by no name: another version may take its place.
  api.useModel(place === 0 ? "" : served[place].id);
  shown.card = served[place].card;
  describe(shown.card);
}

function describe({ summary, quality, limits, training, preprocessing }) {
  part("summary").textContent = summary;
  part("accuracy").replaceChildren(...best(quality.scores).map((score) => element("li", { textContent: accuracy(score) })));
  part("measured").textContent = quality.scores.length
    ? `Accuracy on ${quality.split}; always saying the commonest class gives ${percent(quality.majority)}:`
    : "The card states no accuracy: the data had no labels.";
  part("limits").replaceChildren(...limits.map((textContent) => element("li", { textContent })));
  part("sees").textContent =
    `It sees ${preprocessing.width} × ${preprocessing.height} pixels, and was trained on ` +
    `${training.images.toLocaleString("en")} images: ${training.data}.`;
}

/** The best score of each probe; of nearest neighbours that of the embedding, where the card states it. */
function best(scores) {
  const found = new Map();
  const searched = ({ probe, layer }) => NEAREST.includes(probe) && layer === EMBEDDING;
  for (const score of scores) {
    const before = found.get(score.probe);
    if (!before || searched(score) || (!searched(before) && score.accuracy > before.accuracy)) found.set(score.probe, score);
  }
  return [...found.values()];
}

function accuracy({ accuracy: share, layer, probe, k }) {
  const of = layer === EMBEDDING ? "the embedding, which searches use" : `the layer “${layer}”`;
  return `${percent(share, 1)} by ${k ? `${k} ${PROBES[probe]}` : PROBES[probe]} of ${of}`;
}

part("model").addEventListener("change", async () => {
  try {
    choose();
    tell(`Asking ${part("model").value} …`);
    await count();
    await answerAgain();
    document.dispatchEvent(new Event("index-changed"));
    tell("");
  } catch (error) {
    fail(error);
  }
});
