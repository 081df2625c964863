"""Receptive fields of a graph, measured by changing the image: ONNX Runtime gives no gradients.

A unit sees a column of pixels if its value changes when that column and all on one side of it are replaced.
What is below the precision of float32 is not seen.
"""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from contract.patches import PatchGrid
from training.model.encoders.receptive_field import grid_of_extents

# Rectifiers hide changes, and what one pair of images hides another shows.
_PAIRS = 2
Floats = NDArray[np.float32]


def measured_grid(features: Callable[[NDArray[np.uint8]], Floats], input_size: int) -> PatchGrid:
    """Measure the geometry of a square map.

    Args:
        features: one image uint8 [1, S, S, 3] to its map [1, C, M, M].
        input_size: S, in pixels.
    """
    random = np.random.default_rng(0)
    extents: list[tuple[int, int]] = []
    for _ in range(_PAIRS):
        pair = random.integers(0, 256, (2, 1, input_size, input_size, 3), dtype=np.uint8)
        found = _extents(features, pair[0], pair[1])
        extents = [_united(*each) for each in zip(extents, found, strict=True)] if extents else found
    # A unit that never changes says nothing about where it looks.
    return grid_of_extents([each if each[0] < each[1] else (0, input_size) for each in extents], input_size)


def _extents(
    features: Callable[[NDArray[np.uint8]], Floats], image: NDArray[np.uint8], other: NDArray[np.uint8]
) -> list[tuple[int, int]]:
    """Return for each column of units the first column of pixels that it sees, and the one after the last."""
    size = image.shape[2]
    plain = features(image)
    lows, highs = [size] * plain.shape[3], [0] * plain.shape[3]
    for column in range(size):
        # Everything up to this column; then everything from it on.
        up_to, onwards = image.copy(), image.copy()
        up_to[:, :, : column + 1] = other[:, :, : column + 1]
        onwards[:, :, column:] = other[:, :, column:]
        for unit in np.flatnonzero(_changed(features(up_to), plain)):
            lows[unit] = min(lows[unit], column)
        for unit in np.flatnonzero(_changed(features(onwards), plain)):
            highs[unit] = max(highs[unit], column + 1)
    return list(zip(lows, highs, strict=True))


def _changed(one: Floats, other: Floats) -> NDArray[np.bool_]:
    changed: NDArray[np.bool_] = (one != other).any(axis=(0, 1, 2))
    return changed


def _united(one: tuple[int, int], other: tuple[int, int]) -> tuple[int, int]:
    return min(one[0], other[0]), max(one[1], other[1])
