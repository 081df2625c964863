"""Occlusion: an encoder that looks past the cover loses nothing, one that looks only there loses all."""

import math

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from tests.training.measured import Pixels, encoder, images, inputs, noise
from training.data import ImageSet
from training.errors import DataError
from training.evaluation.frozen import FrozenEncoder
from training.evaluation.measures.figure import Figure
from training.evaluation.measures.occlusion import covered_images, hidden, identified, measure

Floats = NDArray[np.float32]
SIDE = 8


def classes(count: int, seed: int) -> ImageSet:
    """Noise in two classes: bright images and dark ones."""
    labels = np.arange(count) % 2
    pixels = noise(count, SIDE, seed) // 2 + (labels * 127).astype(np.uint8)[:, None, None, None]
    return images(pixels.astype(np.uint8), labels)


def border(pixels: Floats) -> Floats:
    """What the cover leaves visible, in 24 numbers."""
    return pixels[:, 0].reshape(len(pixels), -1)


def centre(pixels: Floats) -> Floats:
    """What the cover hides, in 48 numbers."""
    return pixels[:, 2:6, 2:6].reshape(len(pixels), -1)


def grid(pixels: Floats) -> Floats:
    """Cells of 2 x 2 pixels: [N, 3, 4, 4]."""
    cells: Floats = pixels.reshape(len(pixels), 4, 2, 4, 2, 3).mean(axis=(2, 4))
    return cells.transpose(0, 3, 1, 2)


def figures(frozen: FrozenEncoder, training: ImageSet, test: ImageSet) -> dict[str, Figure]:
    return {one.name: one for one in measure(inputs(frozen, training, test))}


def test_what_the_cover_does_not_hide_is_kept_whole() -> None:
    found = figures(encoder(code=border, features=grid), classes(400, seed=0), classes(100, seed=1))
    assert found["covered images identified"].value == 1
    assert found["linear accuracy on covered images"].value == 1
    assert found["share of accuracy kept"].value == 1
    covered, uncovered = (
        found[f"hidden patches told from the {name} code"].value for name in ("covered", "uncovered")
    )
    assert covered == pytest.approx(uncovered, abs=1e-6)


def test_what_lies_under_the_cover_is_lost() -> None:
    training, test = classes(600, seed=0), classes(200, seed=1)
    found = figures(encoder(code=centre, features=grid), training, test)
    # All covered codes are one code, which is as near to any.
    assert found["covered images identified"].value <= 0.01
    assert found["covered images identified"].chance == 1 / 200
    assert found["linear accuracy on covered images"].value == pytest.approx(0.5, abs=0.01)
    assert found["linear accuracy on uncovered images"].value == 1
    lost, kept = (found[f"hidden patches told from the {name} code"] for name in ("covered", "uncovered"))
    assert lost.value == pytest.approx(0, abs=0.02)
    assert 0.5 < kept.value <= math.log(200) == kept.limit


def test_without_labels_classes_are_left_out() -> None:
    training, test = images(noise(100, SIDE, seed=0)), images(noise(50, SIDE, seed=1))
    found = figures(encoder(code=border, features=grid), training, test)
    assert set(found) == {
        "covered images identified",
        "hidden patches told from the covered code",
        "hidden patches told from the uncovered code",
    }


def test_labels_that_do_not_fit_together_are_named() -> None:
    training = classes(100, seed=0)
    other = ImageSet(training.pixels, training.labels, ("class 0", "cat"), training.names)
    with pytest.raises(DataError, match="'cat'"):
        figures(encoder(code=border, features=grid), training, other)


@pytest.mark.parametrize(("side", "covered"), [(8, 4), (32, 16), (10, 6)])
def test_the_central_square_is_covered_and_nothing_else(side: int, covered: int) -> None:
    pixels: Pixels = np.zeros((2, side, side, 3), np.uint8)
    colour = np.array([1, 2, 3], np.uint8)
    result = covered_images(pixels, colour)
    inside = (result == colour).all(axis=3)
    start = (side - covered) // 2
    expected = np.zeros((2, side, side), bool)
    expected[:, start : side - start, start : side - start] = True
    assert np.array_equal(inside, expected)
    assert not pixels.any()


def test_hidden_patches_are_those_whose_cell_is_covered() -> None:
    cells = torch.arange(64.0).view(1, 1, 8, 8)
    assert hidden(cells).flatten().tolist() == [8 * r + c for r in range(2, 6) for c in range(2, 6)]
    assert hidden(torch.zeros(1, 1, 6, 6)).shape[2:] == (2, 2)


def test_the_nearest_code_identifies() -> None:
    keys = torch.tensor([[1.0, 0.0], [0.0, 1.0], [1.0, 1.0]])
    assert identified(keys * 7, keys) == 1
    assert identified(keys.roll(1, dims=0), keys) == 0
    assert identified(torch.ones(3, 2), torch.ones(3, 2)) == 0
