"""Whatever the bytes, decoding gives a picture of the right shape or an `ImageError`, and nothing else."""

import warnings

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from contract.errors import ImageError
from contract.image_limits import ImageLimits
from contract.images import ALLOWED_FORMATS, decode
from contract.preprocessing import Preprocessing
from tests.pictures import encoded, landscape

RULE = Preprocessing(height=16, width=16)
LIMITS = ImageLimits(max_bytes=100_000, max_pixels=250_000)
SEEDS = [
    *(encoded(landscape(40, 30), image_format) for image_format in ALLOWED_FORMATS),
    encoded(landscape(40, 30), "JPEG", progressive=True),
    encoded(landscape(40, 30).quantize(16), "PNG", transparency=3),
    encoded(landscape(40, 30).convert("RGBA"), "WEBP", lossless=True),
    *(encoded(landscape(40, 30).convert(mode), "TIFF") for mode in ("RGBA", "L", "P", "CMYK", "1")),
    *(
        encoded(landscape(40, 30), "TIFF", compression=name)
        for name in ("tiff_lzw", "packbits", "tiff_deflate")
    ),
    encoded(landscape(40, 30).convert("RGBA"), "AVIF"),
    encoded(landscape(40, 30), "AVIF", save_all=True, append_images=[landscape(40, 30, seed=1)]),
    encoded(landscape(200, 150), "HEIC", tile_size=128),
    encoded(landscape(40, 30).convert("RGBA"), "HEIC"),
    encoded(landscape(40, 30), "GIF", save_all=True, append_images=[landscape(40, 30, seed=1)]),
]


def check(data: bytes) -> None:
    with warnings.catch_warnings():
        # Pillow remarks on oddities of broken files; a server prints each once.
        warnings.simplefilter("ignore")
        try:
            decoded = decode(data, RULE, LIMITS)
        except ImageError as error:
            assert error.code
            assert str(error)
        else:
            assert decoded.pixels.shape == (16, 16, 3)
            assert decoded.pixels.dtype == np.uint8


@settings(max_examples=150)
@given(st.binary(max_size=2000))
def test_any_bytes(data: bytes) -> None:
    check(data)


@settings(max_examples=1500)
@given(
    seed=st.sampled_from(SEEDS),
    changes=st.lists(
        st.tuples(st.floats(0, 1, exclude_max=True), st.binary(min_size=1, max_size=8)), max_size=6
    ),
    kept=st.floats(0, 1),
)
def test_pictures_with_bytes_changed_and_the_end_cut_off(
    seed: bytes, changes: list[tuple[float, bytes]], kept: float
) -> None:
    data = bytearray(seed)
    for place, new in changes:
        start = int(place * len(data))
        data[start : start + len(new)] = new
    check(bytes(data[: max(1, int(kept * len(data)))]))
