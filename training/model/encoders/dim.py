"""The encoders of the Deep InfoMax paper (Hjelm et al. 2019, appendix A.2; `basic32x32`, `basic64x64`).

The paper stops at 64 pixels. The two for larger images are ours, in its style: 4 x 4 convolutions of stride
2, batch normalisation and ReLU. A pixel of a larger image costs less, so that a step takes about as long.
"""

from training.model.encoders.encoder import Encoder
from training.model.encoders.strided import strided


def dim32(code_units: int = 64) -> Encoder:
    """Build for 32 x 32: convolutions of 64, 128, 256 channels; C(x) is the second map, 128 x 8 x 8."""
    return strided(32, local_channels=(64, 128), conv_channels=(256,), code_units=code_units)


def dim64(code_units: int = 64) -> Encoder:
    """Build for 64 x 64: convolutions of 64 to 512 channels, fc 1024; C(x) is the third map, 256 x 8 x 8."""
    return strided(64, local_channels=(64, 128, 256), conv_channels=(512,), code_units=code_units)


def dim96(code_units: int = 64) -> Encoder:
    """Build for 96 x 96: convolutions of 48, 96, 192, 256 channels; C(x) is the third map, 192 x 12 x 12.

    The last map, 256 x 6 x 6, is about as long as that of `dim64`, and so are the weights of fc behind it.
    """
    return strided(96, local_channels=(48, 96, 192), conv_channels=(256,), code_units=code_units)


def dim128(code_units: int = 64) -> Encoder:
    """Build for 128 x 128: `dim64` behind a convolution of 32 channels; C(x) is the fourth map, 256 x 8 x 8.

    All maps but the first have the shapes of those of `dim64`, so that probes of both compare like with like.
    """
    return strided(128, local_channels=(32, 64, 128, 256), conv_channels=(512,), code_units=code_units)
