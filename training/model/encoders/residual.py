"""Residual encoders that spend their arithmetic where a CPU is fastest: on small maps of many channels.

The paper's strided 4 x 4 convolutions bring an image down to 8 x 8 for little; residual 3 x 3 blocks
(He et al. 2016) then add depth on the small maps. They stand behind C(x), so that its patches stay as
local as the paper's: ten pixels wide.
"""

import torch.nn.functional as F  # noqa: N812  (torch's own convention)
from torch import Tensor, nn

from training.model.encoders.encoder import Encoder
from training.model.encoders.strided import HALVING, convolution, hidden

FC_UNITS = 512


class Residual(nn.Module):
    """x + f(x) with two 3 x 3 convolutions, ReLU after the sum; shape [B, C, M, M] is kept."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        last = nn.BatchNorm2d(channels)
        # Starting as the identity lets a stack train from the first step (Goyal et al. 2017, section 5.1).
        nn.init.zeros_(last.weight)
        self.body = nn.Sequential(
            nn.Conv2d(channels, channels, 3, padding=1, bias=False),
            nn.BatchNorm2d(channels),
            nn.ReLU(),
            nn.Conv2d(channels, channels, 3, padding=1, bias=False),
            last,
        )
        self.activation = nn.ReLU()

    def forward(self, inputs: Tensor) -> Tensor:
        out: Tensor = self.activation(inputs + self.body(inputs))
        return out


class Quarters(nn.Module):
    """The means of a map's four quarters, [B, C, M, M] to [B, C, 2, 2]; those of an odd M overlap.

    nn.AdaptiveAvgPool2d(2) gives the same, but its gradient on a GPU is not deterministic.
    """

    def forward(self, inputs: Tensor) -> Tensor:
        side = inputs.shape[2]
        return F.avg_pool2d(inputs, (side + 1) // 2, side // 2)


def residual32(code_units: int = 64) -> Encoder:
    """Build for 32 x 32: the paper's strided stages of 64, 128 and 256 channels, one block before the last
    stage and two behind it.

    C(x) is 128 x 8 x 8 and the last map 256 x 4 x 4, as in `dim32`. fc sees that map in its four quarters, so
    that it takes images of other sizes too, and has half the units, which pays for the blocks' weights.
    """
    conv = nn.Sequential(Residual(128), convolution(128, 256), Residual(256), Residual(256))
    return Encoder(
        32,
        local=nn.Sequential(convolution(3, 64), convolution(64, 128)),
        conv=conv,
        fc=nn.Sequential(Quarters(), hidden(256 * 2 * 2, FC_UNITS)),
        code=nn.Linear(FC_UNITS, code_units),
        kernels=[HALVING, HALVING],
    )


def residual128(code_units: int = 64) -> Encoder:
    """Build for 128 x 128: strides of 4, 2 and 2 pixels with 64, 128 and 256 channels, then a residual block
    on each of the two last maps.

    C(x) is 256 x 8 x 8, patches of 44 pixels every 16, and the last map 256 x 4 x 4. fc sees that map in its
    four quarters, as in `residual32`, so that views of fewer pixels can be encoded too.
    """
    first = (8, 4, 2)
    return Encoder(
        128,
        local=nn.Sequential(convolution(3, 64, first), convolution(64, 128), convolution(128, 256)),
        conv=nn.Sequential(Residual(256), convolution(256, 256), Residual(256)),
        fc=nn.Sequential(Quarters(), hidden(256 * 2 * 2, FC_UNITS)),
        code=nn.Linear(FC_UNITS, code_units),
        kernels=[first, HALVING, HALVING],
    )
