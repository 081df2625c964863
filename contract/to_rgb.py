"""Pixels of any mode to RGB, with transparency composited over a background."""

import numpy as np
from PIL import Image

from contract.color_profile import to_srgb


def to_rgb(image: Image.Image, background: tuple[int, int, int], profile: bytes) -> Image.Image:
    """Convert to RGB; may change the image in place.

    Args:
        image: as a decoder gives it.
        background: shown by transparent pixels.
        profile: ICC profile that the colours are converted from to sRGB; empty for none.
    """
    if image.mode.startswith("I"):
        image = _eight_bit(image)
    if not image.has_transparency_data:
        return _opaque(image, profile)
    layer = image.convert("RGBA")
    if profile:
        alpha = layer.getchannel("A")
        layer = _opaque(image.convert("L") if image.mode in ("L", "LA") else layer.convert("RGB"), profile)
        layer.putalpha(alpha)
    canvas = Image.new("RGBA", image.size, (*background, 255))
    return Image.alpha_composite(canvas, layer).convert("RGB")


def _opaque(image: Image.Image, profile: bytes) -> Image.Image:
    if image.mode not in ("L", "RGB", "CMYK"):
        image = image.convert("RGB")
    image = to_srgb(image, profile)
    return image if image.mode == "RGB" else image.convert("RGB")


def _eight_bit(image: Image.Image) -> Image.Image:
    """Scale 16-bit grey to 8 bits; Pillow's own conversion clips at 255 and turns photographs white."""
    deep = np.asarray(image).astype(np.int64).clip(0, 65535)
    return Image.fromarray((deep // 257).astype(np.uint8))
