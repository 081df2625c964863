"""Pixels of some images of a set, read from the set when they are asked for.

A set may be larger than memory: its pixels are mapped from a file. An index array copies what it chooses, so
a part of a set keeps the numbers of its rows instead.
"""

from collections.abc import Iterator
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray


class PixelArray(Protocol):
    """Array of images, uint8 [N, H, W, 3], of which parts are read by index: an array, or `PixelRows`."""

    @property
    def shape(self) -> tuple[int, ...]: ...

    def __len__(self) -> int: ...

    def __getitem__(self, key: Any, /) -> Any: ...

    def __iter__(self) -> Iterator[Any]: ...


class PixelRows:
    """Rows of an array of images, in any order; each read copies what it reads.

    Attributes:
        shape: (N, H, W, 3), as of an array.
        dtype: uint8.
    """

    dtype = np.dtype(np.uint8)

    def __init__(self, pixels: PixelArray, rows: NDArray[np.int64]) -> None:
        """Take `rows`, int64 [N], of `pixels`."""
        self._pixels: PixelArray
        self._rows: NDArray[np.int64]
        if isinstance(pixels, PixelRows):
            # Rows of rows are rows of the whole.
            self._pixels, self._rows = pixels._pixels, pixels._rows[rows]
        else:
            self._pixels, self._rows = pixels, rows
        self.shape = (len(rows), *pixels.shape[1:])

    def __len__(self) -> int:
        return len(self._rows)

    def __getitem__(self, key: Any) -> NDArray[np.uint8]:
        """Read images by what indexes an array; copies, so that writing to them changes nothing."""
        first, rest = (key[0], key[1:]) if isinstance(key, tuple) else (key, ())
        chosen: NDArray[np.uint8] = self._pixels[self._rows[first]]
        if not rest:
            return chosen
        return chosen[rest] if chosen.ndim < len(self.shape) else chosen[(slice(None), *rest)]

    def __iter__(self) -> Iterator[NDArray[np.uint8]]:
        """Read one image after the other."""
        return (self[row] for row in range(len(self)))

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> NDArray[np.uint8]:
        """Read all: what NumPy's functions do with an object that is not an array."""
        return np.asarray(self[:], dtype)
