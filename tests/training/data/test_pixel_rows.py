"""Rows of a set's pixels: they read as the chosen array would, and nothing before they are asked."""

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from training.data import ImageSet
from training.data.pixel_rows import PixelRows

RNG = np.random.default_rng(0)
PIXELS = RNG.integers(0, 256, (20, 4, 5, 3), np.uint8)
ROWS = RNG.permutation(20)[:11]
KEYS = [0, -1, slice(2, 7), slice(None, None, -2), np.array([3, 3, 0]), ROWS[:11] > 5]
FURTHER = [(4, 0, 2), (slice(1, 4), slice(None), slice(None, None, -1)), (np.array([1, 2]), 0)]


class Watched:
    """Array that remembers which images were read."""

    def __init__(self, pixels: NDArray[np.uint8]) -> None:
        self.shape = pixels.shape
        self.read: list[int] = []
        self._pixels = pixels

    def __len__(self) -> int:
        return len(self._pixels)

    def __getitem__(self, key: Any) -> Any:
        self.read += np.atleast_1d(np.arange(len(self))[key]).tolist()
        return self._pixels[key]

    def __iter__(self) -> Iterator[Any]:
        return iter(self._pixels)


@pytest.mark.parametrize("key", [*KEYS, *FURTHER], ids=str)
def test_rows_read_as_an_array_of_them_would(key: Any) -> None:
    rows, array = PixelRows(PIXELS, ROWS), PIXELS[ROWS]
    assert np.array_equal(rows[key], array[key])
    assert (len(rows), rows.shape) == (len(array), array.shape)
    assert np.array_equal(np.asarray(rows), array)
    assert all(np.array_equal(one, other) for one, other in zip(rows, array, strict=True))


def test_rows_of_rows_are_rows_of_the_whole() -> None:
    chosen = np.array([5, 0, 5])
    assert np.array_equal(PixelRows(PixelRows(PIXELS, ROWS), chosen)[:], PIXELS[ROWS][chosen])


def test_writing_to_what_was_read_changes_nothing() -> None:
    rows = PixelRows(PIXELS, ROWS)
    rows[:][...] = 0
    assert np.array_equal(rows[:], PIXELS[ROWS])


def test_parts_of_a_set_are_read_when_they_are_used() -> None:
    pixels = Watched(PIXELS)
    images = ImageSet(pixels, None, (), tuple(map(str, range(20))))
    kept, drawn = images.split(0.25, seed=0)
    few = kept.sample(3, seed=1)
    assert pixels.read == []
    assert np.array_equal(few.pixels[1], PIXELS[int(few.names[1])])
    assert pixels.read == [int(few.names[1])]
    assert (
        drawn.sha256()
        == ImageSet(PIXELS[[int(name) for name in drawn.names]], None, (), drawn.names).sha256()
    )
