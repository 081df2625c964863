// Pictures of stored items, which are asked for with the API key and so cannot be the source of an image at once.

import { thumbnail } from "./api.js";

/** Load an item's picture into an image; an item without one, or no id, leaves an empty frame that says so. */
export async function showThumbnail(image, id) {
  image.classList.add("thumbnail");
  try {
    if (id === null) throw new Error("no picture is kept");
    image.src = URL.createObjectURL(await thumbnail(id));
    await image.decode();
    URL.revokeObjectURL(image.src);
  } catch {
    // Of a bare vector no picture is kept.
    image.removeAttribute("src");
    image.classList.add("missing");
    image.alt = "no picture is kept";
  }
}
