// The kinds of maps: what question each answers, how well it holds, and what the signs of its values say.

import { percent, printed } from "./elements.js";

const UNMEASURED = "The model's card states no measure of how well this holds; infomax validate-maps --write adds one.";

/** What the card says of nats: whether a patch tells its image from others. */
function tellsApart({ calibration }) {
  return (
    `On held-out images a patch scores higher with its own image's code than with another one's in ` +
    `${percent(calibration.joint_auc)} of the pairs.`
  );
}

/** How often a planted quadrant was the brightest of four, in each of its surroundings. */
function points({ attribution, images, split }) {
  const shares = Object.entries(attribution.pointing).map(([name, share]) => `${percent(share)} (${name})`);
  return (
    `Of images planted in one quadrant of something else, their quadrant was the brightest in ` +
    `${shares.join(", ")}; chance is 25 %. Measured on ${images} images: ${split}.`
  );
}

/** What was observed where most patches are. */
function observes({ reliability }) {
  const { claimed, observed } = reliability.bins.reduce((most, bin) => (bin.own > most.own ? bin : most));
  return `Where a map says ${printed(claimed, 1)} nats, counting on held-out images gave ${printed(observed, 1)}.`;
}

/** How often the right half of two joined images was the brighter one. */
function picksHalf({ picks_half: share, halves, split }) {
  return `Of ${halves} images joined of two halves, the right one was the brighter in ${percent(share, 1)}: ${split}.`;
}

export const KINDS = {
  contribution: {
    question:
      "Which patches is the code built on? The value is how far the code moves without a patch: " +
      "0 not at all, 1 as far as the code of a grey image.",
    holds: (card, measured) => (measured?.attribution ? points(measured) : UNMEASURED),
    signs: ["the code moves without it", ""],
  },
  information: {
    question:
      "Which patches are typical of images with this code? The value estimates, in nats, how much more frequent a " +
      "patch like this is there than anywhere; below 0 it is rarer. It does not say what the code is built on.",
    holds: (card, measured) => [tellsApart(card), measured?.reliability ? observes(measured) : UNMEASURED].join(" "),
    signs: ["typical of images with this code", "rare in images with this code"],
  },
  contrast: {
    question: "Which patches set the photo apart from the nearest images in the index?",
    holds: (card, measured) => [tellsApart(card), measured ? picksHalf(measured) : UNMEASURED].join(" "),
    signs: ["speaks for the photo", "speaks for its neighbours"],
  },
};

/** What the colours say where a neighbour is explained. */
export const EXPLANATION_SIGNS = ["speaks for the other image, more than the rest", "speaks for it less than the rest"];

/**
 * The fixed scale of a kind: its end, equal for all images of a model, and the unit behind its numbers.
 *
 * Nats end at the logarithm of the card's bank less its offset, the most that it can show; all maps in nats share the scale.
 * `measured` is what the card states of this kind: where it says what was counted, values of information have a reading.
 */
export function scaleOf(kind, { calibration }, measured = null) {
  if (kind === "contribution") return { most: 1, unit: "" };
  const ceiling = Math.log(calibration.bank) - (calibration.offset_nats ?? 0);
  const nats = { most: Math.max(1, ceiling), unit: " nats" };
  const bins = kind === "information" && measured?.reliability?.bins;
  return bins ? { ...nats, reading: (value) => asFrequent(value, bins) } : nats;
}

/**
 * How frequent patches of such a value are by counting on held-out images; nothing where none were counted.
 *
 * A map's own nats may claim more than was observed, so no factor is made of them.
 */
function asFrequent(value, bins) {
  const off = ({ claimed }) => Math.abs(claimed - value);
  const { observed } = bins.reduce((nearest, bin) => (off(bin) < off(nearest) ? bin : nearest));
  // A bin holds the values that round to its whole number of nats.
  if (!bins.some((bin) => Math.round(bin.claimed) === Math.round(value))) return "";
  const times = Number(Math.exp(observed).toPrecision(2)).toLocaleString("en");
  return `; by counting such are ${times} times as frequent as by chance`;
}

/** The numbers of a map of any kind. */
export function valuesOf(map) {
  return map.nats ?? map.values;
}
