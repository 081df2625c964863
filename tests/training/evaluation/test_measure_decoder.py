"""The decoder draws what the code holds, and the mean image from a code that holds nothing."""

import numpy as np
import pytest
import torch
from torch import nn

from tests.training.measured import Pixels, encoder, images, inputs
from training.evaluation.measures.decoder import ReconstructionDecoder, compare, fit_decoder, measure
from training.evaluation.measures.fitting import FitSchedule
from training.recipe import OptimiserRecipe
from training.system.signals import Interruption


def blocks(count: int, seed: int) -> Pixels:
    """Images of 2 x 2 flat squares of 4 pixels: twelve numbers make up an image."""
    colours = np.random.default_rng(seed).integers(0, 256, (count, 2, 2, 3), np.uint8)
    return colours.repeat(4, axis=1).repeat(4, axis=2)


def test_a_code_that_is_the_image_is_drawn() -> None:
    pixels, fresh = (torch.from_numpy(blocks(count, seed=count)) for count in (1_000, 200))
    code, fresh_code = ((each[:, ::4, ::4] / 127.5 - 1).flatten(1) for each in (pixels, fresh))
    torch.manual_seed(0)
    decoder = ReconstructionDecoder(12, 8)
    schedule = FitSchedule(25, OptimiserRecipe(learning_rate=1e-2), batch_size=50)
    fit_decoder(decoder, code, pixels, seed=0, interruption=Interruption(), schedule=schedule)
    similarity, error = compare(decoder, fresh_code, fresh)
    assert similarity > 0.97
    assert error < 0.002


def test_a_code_that_says_nothing_gives_the_mean_image() -> None:
    training, test = images(blocks(200, seed=0)), images(blocks(200, seed=1))
    nothing = encoder(code=lambda pixels: np.zeros((len(pixels), 12)))
    similarity, error = measure(inputs(nothing, training, test))
    assert error.chance is not None
    assert similarity.chance is not None
    # The variance of a uniform colour is a twelfth.
    assert error.chance == pytest.approx(1 / 12, rel=0.05)
    assert error.value == pytest.approx(error.chance, rel=0.03)
    assert similarity.value < 0.5
    assert similarity.value == pytest.approx(similarity.chance, abs=0.1)


@pytest.mark.parametrize(("side", "smallest"), [(8, 4), (32, 4), (64, 4), (96, 6), (128, 4), (33, 33)])
def test_every_side_is_drawn(side: int, smallest: int) -> None:
    decoder = ReconstructionDecoder(5, side).eval()
    assert decoder(torch.zeros(2, 5)).shape == (2, 3, side, side)
    first = list(decoder.layers)[1]
    assert isinstance(first, nn.Unflatten)
    assert first.unflattened_size[1:] == (smallest, smallest)
