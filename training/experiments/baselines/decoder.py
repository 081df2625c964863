"""From a code back to an image, for the methods that learn by reconstruction."""

import torch
from torch import Tensor, nn

_CHANNELS = (256, 128, 64)
_SMALLEST = 4


class ImageDecoder(nn.Module):
    """The paper's encoder for 32 x 32 pixels turned round, as in DCGAN (Radford et al. 2016).

    A linear layer to 256 maps of 4 x 4, then transposed convolutions (kernel 4, stride 2) to 128 and 64
    channels and to RGB. Batch normalisation and ReLU stand between them.

    Args:
        code_units: Y, of a code.
    """

    def __init__(self, code_units: int) -> None:
        super().__init__()
        first, second, third = _CHANNELS
        flat = first * _SMALLEST**2
        self.widen = nn.Sequential(
            nn.Linear(code_units, flat, bias=False),
            nn.BatchNorm1d(flat),
            nn.ReLU(),
            nn.Unflatten(1, (first, _SMALLEST, _SMALLEST)),
        )
        self.grow = nn.Sequential(
            _double(first, second), _double(second, third), nn.ConvTranspose2d(third, 3, 4, 2, 1)
        )

    def forward(self, code: Tensor) -> Tensor:
        """Map codes [B, Y] to images float32 [B, 3, 32, 32] on the scale 0..1."""
        image: Tensor = torch.sigmoid(self.grow(self.widen(code)))
        return image


def _double(inputs: int, outputs: int) -> nn.Sequential:
    return nn.Sequential(
        nn.ConvTranspose2d(inputs, outputs, 4, 2, 1, bias=False), nn.BatchNorm2d(outputs), nn.ReLU()
    )
