"""Images of any size are encoded within the same memory, and their maps stay small enough for a probe."""

from collections.abc import Sequence

import numpy as np
import pytest
from numpy.typing import NDArray

from training.evaluation.encoding import images_at_once
from training.evaluation.frozen import FrozenEncoder


@pytest.mark.parametrize("size", [32, 64, 128, 224, 512, 4096])
def test_no_more_pixels_are_encoded_at_once_of_larger_images(size: int) -> None:
    count = images_at_once(size, size)
    assert count == 1 or count * size * size <= 512 * 64 * 64


def frozen(maps: NDArray[np.float32]) -> FrozenEncoder:
    def run(pixels: NDArray[np.uint8], outputs: Sequence[str]) -> Sequence[NDArray[np.float32]]:
        return [maps[pixels[:, 0, 0, 0]] for _ in outputs]

    return FrozenEncoder(run, ("conv",))


def rows(count: int) -> NDArray[np.uint8]:
    return np.arange(count, dtype=np.uint8).reshape(-1, 1, 1, 1)


def test_a_small_map_is_probed_as_it_is() -> None:
    maps = np.random.default_rng(0).normal(size=(5, 512, 4, 4)).astype(np.float32)
    assert np.array_equal(frozen(maps).layers(rows(5))["conv"].numpy(), maps.reshape(5, -1))


def test_a_large_map_is_averaged_over_neighbouring_places() -> None:
    maps = np.random.default_rng(0).normal(size=(3, 1280, 8, 8)).astype(np.float32)
    probed = frozen(maps).layers(rows(3))["conv"].numpy().reshape(3, 1280, 2, 2)
    assert np.allclose(probed[:, :, 0, 1], maps[:, :, :4, 4:].mean(axis=(2, 3)), atol=1e-5)
