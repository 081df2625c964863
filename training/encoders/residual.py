"""A small residual encoder that spends its arithmetic where two CPU cores are fastest.

The paper's strided 4 x 4 convolutions bring an image down to 8 x 8 for little; residual 3 x 3 blocks
(He et al. 2016) then add depth on the small maps, where 128 and more channels keep the cores' matrix
units busy.
"""

from torch import Tensor, nn

from training.encoders.encoder import Encoder
from training.encoders.strided import HALVING, HIDDEN_UNITS, convolution, hidden


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


def residual32(code_units: int = 64) -> Encoder:
    """32 x 32: the paper's strided stages of 64, 128 and 256 channels, a residual block on the last two.

    C(x) is 128 x 8 x 8, the last map 256 x 4 x 4, fc 1024: the layers have the sizes of `dim32`, so that the
    probes of both compare like with like.
    """
    local = nn.Sequential(convolution(3, 64), convolution(64, 128), Residual(128))
    return Encoder(
        32,
        local=local,
        conv=nn.Sequential(convolution(128, 256), Residual(256)),
        fc=hidden(256 * 4 * 4),
        code=nn.Linear(HIDDEN_UNITS, code_units),
        kernels=[HALVING, HALVING, (3, 1, 1), (3, 1, 1)],
    )
