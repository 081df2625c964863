"""What an encoder is told about its training images before the first step: statistics and whitening."""

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from training.data.image_set import sample_rows
from training.data.views import to_unit
from training.model.encoders import Encoder
from training.model.whitening import first_convolution, whiten
from training.recipe import Recipe

_STATISTICS_ON = 10_000
_WHITENED_ON = 5_000
# A channel that is the same in all images would be divided by 0: half a step of 8 bits.
_LEAST_DEVIATION = 0.5 / 255


def fit_input(encoder: Encoder, pixels: NDArray[np.uint8], recipe: Recipe) -> None:
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
        sample = to_unit(torch.from_numpy(pixels[rows])).to(encoder.mean.device)
        whiten(first_convolution(encoder), (sample - encoder.mean) / encoder.std)


def channel_statistics(pixels: NDArray[np.uint8], seed: int) -> tuple[Tensor, Tensor]:
    """Compute mean and deviation of each channel of uint8 [N, H, W, 3]: float32 [3] on the scale 0..1."""
    rows = sample_rows(len(pixels), _STATISTICS_ON, seed)
    sample = torch.from_numpy(pixels[rows]).float() / 255
    return sample.mean(dim=(0, 1, 2)), sample.std(dim=(0, 1, 2)).clamp_min(_LEAST_DEVIATION)
