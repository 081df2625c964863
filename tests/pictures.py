"""Encoded test pictures, made here so that every pixel's origin is known."""

from io import BytesIO
from typing import Any

import numpy as np
import pillow_heif
from numpy.typing import NDArray
from PIL import Image


def landscape(width: int, height: int, seed: int = 0) -> Image.Image:
    """A smooth RGB picture with different corners, so that turning or mirroring it shows."""
    rng = np.random.default_rng(seed)
    coarse = rng.integers(30, 226, (5, 7, 3), dtype=np.uint8)
    picture = Image.fromarray(coarse).resize((width, height), Image.Resampling.BICUBIC)
    picture.paste((255, 0, 0), (0, 0, width // 3, height // 3))
    return picture


def encoded(picture: Image.Image, image_format: str = "PNG", **options: Any) -> bytes:
    """The file that Pillow writes for the picture."""
    file = BytesIO()
    if image_format == "HEIC":
        pillow_heif.from_pillow(picture).save(file, **options)
    else:
        picture.save(file, image_format, **options)
    return file.getvalue()


def photo(seed: int = 0, width: int = 32, height: int = 32, image_format: str = "JPEG") -> bytes:
    """An encoded picture of its own for each seed."""
    return encoded(landscape(width, height, seed), image_format)


def plain(value: int, side: int = 32) -> bytes:
    """A PNG in which every channel of every pixel has this value: it can be recognised inside a batch."""
    pixels: NDArray[np.uint8] = np.full((side, side, 3), value, np.uint8)
    return encoded(Image.fromarray(pixels))
