"""Images with a known answer: a half-size image in one quadrant, and the halves of two images."""

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from training.evaluation.maps.subject import Floats, Pixels

SURROUNDINGS = ("noise", "grey", "photo")
Rows = NDArray[np.int64]


def planted(surrounding: str, sources: Pixels, others: Pixels, seed: int) -> tuple[Pixels, Rows]:
    """Plant each source, at half its size, into a quadrant of its own surroundings.

    Args:
        surrounding: of `SURROUNDINGS`: uniform noise, mid-grey, or the photo in `others`.
        sources, others: uint8 [N, H, W, 3].
        seed: of noise and quadrants.

    Returns:
        The images uint8 [N, H, W, 3], and the quadrant of each, counted row by row.
    """
    rng = np.random.default_rng(seed)
    count, height, width = sources.shape[:3]
    if surrounding == "noise":
        canvas = rng.integers(0, 256, sources.shape, dtype=np.uint8)
    elif surrounding == "grey":
        canvas = np.full(sources.shape, 128, np.uint8)
    else:
        canvas = np.array(others)
    quadrants: Rows = rng.integers(0, 4, size=(count,))
    half = height // 2, width // 2
    for place, (quadrant, source) in enumerate(zip(quadrants.tolist(), sources, strict=True)):
        down, across = divmod(quadrant, 2)
        small = Image.fromarray(source).resize((half[1], half[0]), Image.Resampling.BOX)
        top, left = down * (height - half[0]), across * (width - half[1])
        canvas[place, top : top + half[0], left : left + half[1]] = np.asarray(small)
    return canvas, quadrants


def brightest(maps: Floats) -> Rows:
    """Find the quadrant with the highest mean of each map [N, M, M]; a middle row or column is left out."""
    rows, columns = (side // 2 for side in maps.shape[1:])
    parts = [
        maps[:, down, across].mean(axis=(1, 2))
        for down in (slice(None, rows), slice(-rows, None))
        for across in (slice(None, columns), slice(-columns, None))
    ]
    found: Rows = np.stack(parts, axis=1).argmax(axis=1)
    return found


def halved(left: Pixels, right: Pixels) -> Pixels:
    """Join the left half of one image and the right half of another, uint8 [N, H, W, 3]."""
    joined = np.array(left)
    middle = left.shape[2] // 2
    joined[:, :, middle:] = right[:, :, middle:]
    return joined


def left_is_brighter(maps: Floats) -> NDArray[np.bool_]:
    """Tell whether the left half of each map [N, M, M] has the higher mean."""
    half = maps.shape[2] // 2
    brighter: NDArray[np.bool_] = maps[:, :, :half].mean(axis=(1, 2)) > maps[:, :, -half:].mean(axis=(1, 2))
    return brighter
