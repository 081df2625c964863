"""Autoencoder: a code from which the image can be rebuilt (Hinton and Salakhutdinov 2006)."""

from collections.abc import Sequence

import torch
import torch.nn.functional as F  # noqa: N812  (torch's own convention)
from torch import Generator, Tensor

from training.experiments.baselines.decoder import ImageDecoder
from training.model.encoders import Encoder
from training.model.trainable import Trainable


class Autoencoder(Trainable):
    """The encoder with a decoder on its code, trained by squared error.

    Args:
        encoder: what is trained, of images of 32 x 32 pixels.
        code_units: Y, of a code.
    """

    def __init__(self, encoder: Encoder, code_units: int) -> None:
        super().__init__()
        self.encoder = encoder
        self.decoder = ImageDecoder(code_units)

    def forward(
        self, views: Sequence[Tensor], _generator: Generator, _rows: Tensor
    ) -> tuple[Tensor, dict[str, float], Tensor]:
        """Return the mean squared error of a pixel's channel on the scale 0..1."""
        images = torch.cat(list(views))
        code = self.encoder(images).code
        return F.mse_loss(self.decoder(code), images), {}, code
