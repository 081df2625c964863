"""What an encoder is told about its training images before the first step: statistics and whitening."""

from collections.abc import Iterator

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from training.data.image_set import sample_rows
from training.data.pixel_rows import PixelArray
from training.data.views import to_unit
from training.model.encoders import Encoder
from training.model.whitening import first_convolution, whiten
from training.recipe import Recipe

_STATISTICS_ON = 10_000
_WHITENED_ON = 5_000
_PART = 256
# A channel that is the same in all images would be divided by 0: half a step of 8 bits.
_LEAST_DEVIATION = 0.5 / 255


def fit_input(encoder: Encoder, pixels: PixelArray, recipe: Recipe) -> None:
    """Set the encoder's channel statistics and, if the recipe wants it, whiten its first layer.

    Args:
        encoder: as it was drawn.
        pixels: of the training images, uint8 [N, H, W, 3].
        recipe: of the run; its seed draws the images that are used.
    """
    if recipe.encoder.mean is None:
        encoder.set_statistics(*channel_statistics(pixels, recipe.seed))
    if recipe.encoder.whitened:
        rows = sample_rows(len(pixels), _WHITENED_ON, recipe.seed)
        batches = (to_unit(torch.from_numpy(part)).to(encoder.mean.device) for part in _parts(pixels, rows))
        whiten(first_convolution(encoder), ((batch - encoder.mean) / encoder.std for batch in batches))


def channel_statistics(pixels: PixelArray, seed: int) -> tuple[Tensor, Tensor]:
    """Compute mean and deviation of each channel of uint8 [N, H, W, 3]: float32 [3] on the scale 0..1."""
    rows = sample_rows(len(pixels), _STATISTICS_ON, seed)
    total = squares = np.zeros(3)
    for part in _parts(pixels, rows):
        values = part.reshape(-1, 3).astype(np.float64) / 255
        total = total + values.sum(axis=0)
        squares = squares + (values**2).sum(axis=0)
    count = len(rows) * pixels.shape[1] * pixels.shape[2]
    mean = total / count
    deviation = np.sqrt(np.maximum(squares / count - mean**2, 0)).clip(_LEAST_DEVIATION)
    return torch.from_numpy(mean).float(), torch.from_numpy(deviation).float()


def _parts(pixels: PixelArray, rows: NDArray[np.int64]) -> Iterator[NDArray[np.uint8]]:
    """Take a few images at a time: as numbers, thousands of photographs are gigabytes."""
    for start in range(0, len(rows), _PART):
        yield pixels[rows[start : start + _PART]]
