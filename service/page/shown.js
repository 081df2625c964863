// What is shown: the model's card, the photo, the service's answer to it, and the maps on the page.

export const shown = {
  /** Card of the chosen model. */
  card: null,
  /**
   * The photo: {name, picture, size}, with its `file` or, of an item of the index, its `id`. The picture is an
   * ImageBitmap, or a size where the browser cannot show it; `size` is that of the image, in pixels.
   */
  photo: null,
  /** The service's answer to the photo. */
  answer: null,
  /** The service's answer to a part of the photo, while it is listed. */
  parts: null,
  /** Ends when all of the answer is there. */
  complete: null,
  /** The neighbour that is explained; null where the photo's own map is shown. */
  neighbour: null,
  /** How many items the index holds, as they were counted last. */
  items: 0,
  /** Whether the index finds parts of images. */
  regions: false,
  /** The scale of the maps. */
  scale: null,
};
