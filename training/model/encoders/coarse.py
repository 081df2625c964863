"""`dim32` for larger images: behind a first layer that looks at larger patches, everything has its sizes.

The first layer brings any image down to 64 x 16 x 16 at once, so that one of 128 pixels costs little more
than one of 32; the paper's own way to larger images, a layer more for each doubling, spends five times as
much at 64 pixels. With few images and little time the passes that this saves are worth more than the layers
(docs/decisions/023). Make the first layer a whitening one (`encoder.whitened`): it then keeps of a patch what
varies most, as principal components do.
"""

from training.model.encoders.encoder import Encoder
from training.model.encoders.strided import strided

_FIRST_MAP = 16


def coarse64(code_units: int = 64) -> Encoder:
    """Build for 64 x 64: the first sees 8 x 8 pixels every 4; C(x) 128 x 8 x 8, last map 256 x 4 x 4."""
    return _coarse(64, code_units)


def coarse96(code_units: int = 64) -> Encoder:
    """Build for 96 x 96: the first layer sees 12 x 12 pixels every 6; maps are those of `coarse64`."""
    return _coarse(96, code_units)


def coarse128(code_units: int = 64) -> Encoder:
    """Build for 128 x 128: the first layer sees 16 x 16 pixels every 8; maps are those of `coarse64`."""
    return _coarse(128, code_units)


def _coarse(input_size: int, code_units: int) -> Encoder:
    stride = input_size // _FIRST_MAP
    return strided(input_size, (64, 128), (256,), code_units, first=(2 * stride, stride, stride // 2))
