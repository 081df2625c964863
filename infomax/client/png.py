"""PNG files of NumPy arrays, written without an image library."""

import struct
import zlib

import numpy as np
from numpy.typing import NDArray

_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_COLOUR_TYPES = {1: 0, 3: 2, 4: 6}
"""Grey, RGB and RGBA, by the number of channels (PNG, third edition, table 9)."""


def png(pixels: NDArray[np.uint8]) -> bytes:
    """Write uint8 [H, W], [H, W, 1], [H, W, 3] or [H, W, 4] as a PNG, without loss.

    Raises:
        ValueError: the array has another shape or type.
    """
    if pixels.ndim == 2:
        pixels = pixels[:, :, None]
    if (
        pixels.dtype != np.uint8
        or pixels.ndim != 3
        or pixels.shape[2] not in _COLOUR_TYPES
        or not pixels.size
    ):
        raise ValueError(
            f"The array is {pixels.dtype} {list(pixels.shape)}. "
            "Give uint8 [H, W], [H, W, 3] (RGB) or [H, W, 4] (RGBA)."
        )
    height, width, channels = pixels.shape
    # Each row begins with its filter; 0 is none.
    rows = np.zeros((height, 1 + width * channels), np.uint8)
    rows[:, 1:] = pixels.reshape(height, -1)
    head = struct.pack(">IIBBBBB", width, height, 8, _COLOUR_TYPES[channels], 0, 0, 0)
    data = zlib.compress(rows.tobytes(), 1)
    return b"".join((_SIGNATURE, _part(b"IHDR", head), _part(b"IDAT", data), _part(b"IEND", b"")))


def _part(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
