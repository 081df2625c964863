// Pictures as large as they are drawn: a photo of many megapixels is slow to draw anew for each map.

const LONGEST = 720; // pixels of a canvas's longer side, as in map.js

/** The picture with its longer side at most as long as it is drawn. */
export async function smaller(bitmap) {
  const scale = LONGEST / Math.max(bitmap.width, bitmap.height);
  if (scale >= 1) return bitmap;
  const [resizeWidth, resizeHeight] = [bitmap.width, bitmap.height].map((side) => Math.max(1, Math.round(side * scale)));
  const made = await createImageBitmap(bitmap, { resizeWidth, resizeHeight, resizeQuality: "medium" });
  bitmap.close();
  return made;
}
