"""Colours by an embedded ICC profile, converted to sRGB.

A profile that cannot be read, or that does not fit its pixels, is ignored, as browsers do: damage in metadata
costs no image.
"""

from functools import lru_cache
from io import BytesIO

import numpy as np
from PIL import Image, ImageCms

# Profiles of printing presses have up to 3 MB, those of cameras and screens 0.5 KB.
_MOST_BYTES = 4 * 2**20
_MOST_TRANSFORMS = 8
# Modes of pixels by the colour space of a profile.
_MODES = {"RGB": "RGB", "GRAY": "L", "CMYK": "CMYK"}
_SRGB = ImageCms.createProfile("sRGB")
_PROBE_STEPS = 17
# In 8 bits. Profiles that mean sRGB differ from each other by no more.
_ROUNDING = 1


def to_srgb(image: Image.Image, profile: bytes) -> Image.Image:
    """Convert the pixels of an image without transparency; may change the image in place.

    Args:
        image: of mode RGB, L or CMYK; another mode is returned unchanged.
        profile: ICC profile; empty for none.
    """
    if not 0 < len(profile) <= _MOST_BYTES:
        return image
    transform = _transform(profile, image.mode)
    if transform is None:
        return image
    if image.mode == "RGB":
        transform.apply_in_place(image)
        return image
    return transform.apply(image)


@lru_cache(_MOST_TRANSFORMS)
def _transform(profile: bytes, mode: str) -> ImageCms.ImageCmsTransform | None:
    """Build the conversion to RGB; None where the profile has none for this mode or is sRGB itself."""
    try:
        opened = ImageCms.ImageCmsProfile(BytesIO(profile))
        if _MODES.get(opened.profile.xcolor_space.strip()) != mode:
            return None
        transform = ImageCms.ImageCmsTransform(opened, ImageCms.ImageCmsProfile(_SRGB), mode, "RGB")
        return None if mode == "RGB" and _changes_nothing(transform) else transform
    except Exception:
        # Of any type: a profile has many faults.
        return None


def _changes_nothing(transform: ImageCms.ImageCmsTransform) -> bool:
    steps = np.linspace(0, 255, _PROBE_STEPS).round().astype(np.uint8)
    colours = np.stack(np.meshgrid(steps, steps, steps), axis=-1).reshape(_PROBE_STEPS, -1, 3)
    converted = np.asarray(transform.apply(Image.fromarray(colours)))
    return int(np.abs(converted.astype(int) - colours).max()) <= _ROUNDING
