"""Decoded images with their names and, where there are any, their classes."""

import hashlib
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from training.data.pixel_rows import PixelArray, PixelRows
from training.errors import DataError

_HASHED_AT_ONCE = 256


@dataclass(frozen=True)
class ImageSet:
    """N images at one model's input size.

    Attributes:
        pixels: uint8 [N, H, W, 3], RGB; may be mapped from a cache file, or rows of what is.
        labels: int64 [N] into `class_names`, or None when the data has no classes.
        class_names: name of each class; empty without labels.
        names: where each image came from: a path relative to the data, or a row.
        larger_pixels: uint8 [N, L, L, 3], the same images at a larger size, for crops; may be absent.
    """

    pixels: PixelArray
    labels: NDArray[np.int64] | None
    class_names: tuple[str, ...]
    names: tuple[str, ...]
    larger_pixels: PixelArray | None = None

    @property
    def pixels_for_crops(self) -> PixelArray:
        """The largest pixels that there are: uint8 [N, L, L, 3]."""
        return self.pixels if self.larger_pixels is None else self.larger_pixels

    def __len__(self) -> int:
        return len(self.pixels)

    def sha256(self) -> str:
        """Hash pixels and shape: tells whether these are the images of an earlier run."""
        return self._sha256

    @cached_property
    def _sha256(self) -> str:
        digest = hashlib.sha256(repr(self.pixels.shape).encode())
        for start in range(0, len(self), _HASHED_AT_ONCE):
            digest.update(np.ascontiguousarray(self.pixels[start : start + _HASHED_AT_ONCE]).data)
        return digest.hexdigest()

    def all_equal(self) -> bool:
        """Tell whether all images have the same pixels."""
        first = self.pixels[0]
        return all(np.array_equal(first, self.pixels[row]) for row in range(1, len(self)))

    def take(self, rows: NDArray[np.int64]) -> "ImageSet":
        """Take the images of the rows int64 [M], in that order; their pixels are read when they are used."""
        return replace(
            self,
            pixels=PixelRows(self.pixels, rows),
            labels=None if self.labels is None else self.labels[rows],
            names=tuple(self.names[row] for row in rows),
            larger_pixels=None if self.larger_pixels is None else PixelRows(self.larger_pixels, rows),
        )

    def sample(self, most: int, seed: int) -> "ImageSet":
        """Draw at most that many of the images; they keep their order."""
        return self.take(sample_rows(len(self), most, seed))

    def split(self, fraction: float, seed: int) -> tuple["ImageSet", "ImageSet"]:
        """Part at random, the same way for the same seed, each part in the original order.

        Args:
            fraction: share of the second part, between 0 and 1.
            seed: of the draw.

        Returns:
            The rest and the drawn part.

        Raises:
            DataError: a part would be empty.
        """
        drawn, kept = split_rows(len(self), fraction, seed)
        return self.take(kept), self.take(drawn)


def sample_rows(count: int, most: int, seed: int) -> NDArray[np.int64]:
    """Draw at most `most` of the rows 0..count-1, ascending int64.

    Folders come sorted by class, so the first rows of a set show one class or two of it. Whatever looks at
    a part of a set draws that part here.
    """
    return np.sort(np.random.default_rng(seed).permutation(count)[:most])


def split_rows(count: int, fraction: float, seed: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Draw a `fraction` of the rows 0..count-1: (drawn, rest), both ascending int64.

    Raises:
        DataError: one of the two would be empty.
    """
    drawn = round(fraction * count)
    if not 0 < drawn < count:
        raise DataError(
            f"A part of {fraction:g} cannot be held out of {count} images: one side would be empty; "
            "use more images or another share."
        )
    order = np.random.default_rng(seed).permutation(count)
    return np.sort(order[:drawn]), np.sort(order[drawn:])
