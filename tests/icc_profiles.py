"""ICC profiles for tests, written by hand after ICC.1:2010, and the colours that they mean."""

import struct

import numpy as np
from numpy.typing import NDArray

# Columns of red, green and blue in XYZ under D50: the colorants of both profiles.
SRGB_TO_XYZ = np.array(
    [[0.43607, 0.38515, 0.14307], [0.22249, 0.71687, 0.06061], [0.01392, 0.09708, 0.71410]]
)
DISPLAY_P3_TO_XYZ = np.array(
    [[0.51512, 0.29198, 0.15710], [0.24120, 0.69225, 0.06657], [-0.00105, 0.04189, 0.78407]]
)
_D50 = (0.96420, 1.0, 0.82491)


def display_p3() -> bytes:
    """Profile of the screens and cameras of phones."""
    return _matrix_profile(DISPLAY_P3_TO_XYZ)


def srgb() -> bytes:
    """Profile that means sRGB itself."""
    return _matrix_profile(SRGB_TO_XYZ)


def grey() -> bytes:
    """Profile of grey by the old curve of printers, gamma 1.8."""
    curve = b"curv" + bytes(4) + struct.pack(">IH", 1, round(1.8 * 256))
    return _profile(b"GRAY", {b"wtpt": _xyz(_D50), b"kTRC": curve})


def as_display_p3(srgb_pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Write the same colours in Display P3: uint8 [H, W, 3]."""
    linear = _decoded(srgb_pixels / 255.0) @ SRGB_TO_XYZ.T @ np.linalg.inv(DISPLAY_P3_TO_XYZ).T
    return (255 * _encoded(linear.clip(0, 1))).round().astype(np.uint8)


def from_display_p3(p3_pixels: NDArray[np.uint8]) -> NDArray[np.float64]:
    """Convert to sRGB without rounding: float64 [H, W, 3] on the scale 0..255."""
    linear = _decoded(p3_pixels / 255.0) @ DISPLAY_P3_TO_XYZ.T @ np.linalg.inv(SRGB_TO_XYZ).T
    return 255 * _encoded(linear.clip(0, 1))


def _decoded(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Convert values of sRGB's curve to amounts of light."""
    return np.where(values <= 0.04045, values / 12.92, ((values + 0.055) / 1.055) ** 2.4)


def _encoded(light: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.where(light <= 0.0031308, 12.92 * light, 1.055 * light ** (1 / 2.4) - 0.055)


def _matrix_profile(to_xyz: NDArray[np.float64]) -> bytes:
    # The curve of sRGB in its five numbers (parametric curve of type 3).
    numbers = (2.4, 1 / 1.055, 0.055 / 1.055, 1 / 12.92, 0.04045)
    curve = b"para" + bytes(4) + struct.pack(">HH", 3, 0) + b"".join(_fixed(one) for one in numbers)
    tags = {b"wtpt": _xyz(_D50)}
    for letter, column in zip(b"rgb", to_xyz.T, strict=True):
        tags |= {bytes((letter,)) + b"XYZ": _xyz(tuple(column)), bytes((letter,)) + b"TRC": curve}
    return _profile(b"RGB ", tags)


def _profile(space: bytes, tags: dict[bytes, bytes]) -> bytes:
    texts = {b"desc": _text("test"), b"cprt": _text("none")}
    table, content, at = b"", b"", 128 + 4 + 12 * len(texts | tags)
    for name, value in (texts | tags).items():
        padded = value + bytes(-len(value) % 4)
        table += struct.pack(">4sII", name, at + len(content), len(value))
        content += padded
    body = struct.pack(">I", len(texts | tags)) + table + content
    header = struct.pack(">I4sI4s4s4s", 128 + len(body), b"", 0x04300000, b"mntr", space, b"XYZ ")
    header += struct.pack(">6H", 2026, 1, 1, 0, 0, 0) + b"acsp" + bytes(28) + _xyz(_D50)[8:]
    return header.ljust(128, b"\0") + body


def _fixed(number: float) -> bytes:
    return struct.pack(">i", round(number * 65536))


def _xyz(numbers: tuple[float, ...]) -> bytes:
    return b"XYZ " + bytes(4) + b"".join(_fixed(one) for one in numbers)


def _text(text: str) -> bytes:
    encoded = text.encode("utf-16-be")
    return b"mluc" + bytes(4) + struct.pack(">II2s2sII", 1, 12, b"en", b"US", len(encoded), 28) + encoded
