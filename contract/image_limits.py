"""Limits on one image, apart from the decoder: the settings of a process that decodes nothing hold them."""

from dataclasses import dataclass


@dataclass(frozen=True)
class ImageLimits:
    """What one image may cost, checked before its pixels are decoded.

    Attributes:
        max_bytes: encoded size in bytes.
        max_pixels: width times height.
        max_scans: scans of a progressive JPEG; each costs a pass over the whole image.
    """

    max_bytes: int = 20 * 2**20
    max_pixels: int = 40_000_000
    max_scans: int = 64
