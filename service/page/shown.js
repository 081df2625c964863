// What is shown: the model's card, the photo, the service's answer to it, and the maps on the page.

export const shown = {
  /** Card of the chosen model. */
  card: null,
  /** The photo: {file, picture}; its picture is an ImageBitmap, or a size where the browser cannot show it. */
  photo: null,
  /** The service's answer to the photo. */
  answer: null,
  /** The neighbour that is explained; null where the photo's own map is shown. */
  neighbour: null,
  /** The scale of the maps. */
  scale: null,
};
