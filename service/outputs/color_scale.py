"""Colour scale of values around zero: blue below, red above, white between.

RdBu of ColorBrewer in reverse order: distinct with every common colour blindness. The page has the same.
"""

import numpy as np
from numpy.typing import NDArray

_ANCHORS = np.array(
    [
        (5, 48, 97),
        (33, 102, 172),
        (67, 147, 195),
        (146, 197, 222),
        (209, 229, 240),
        (247, 247, 247),
        (253, 219, 199),
        (244, 165, 130),
        (214, 96, 77),
        (178, 24, 43),
        (103, 0, 31),
    ],
    np.float32,
)
_STEPS = 256


def _table() -> NDArray[np.float32]:
    places = np.linspace(0, len(_ANCHORS) - 1, _STEPS)
    channels = [np.interp(places, np.arange(len(_ANCHORS)), channel) for channel in _ANCHORS.T]
    return np.stack(channels, axis=-1).astype(np.float32)


_TABLE = _table()


def colors(shares: NDArray[np.floating]) -> NDArray[np.float32]:
    """Look up the colour of each share of the largest value, -1 to 1: float32 [..., 3] from 0 to 255."""
    places = (shares + 1) / 2 * _STEPS
    table: NDArray[np.float32] = _TABLE[places.clip(0, _STEPS - 1).astype(np.intp)]
    return table
