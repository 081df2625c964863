"""Pixels of an encoded image by its header, read in microseconds: how much work it will be to decode."""

from struct import Struct
from typing import NamedTuple

from contract.errors import ImageError
from contract.image_formats import read_header

_JPEG = b"\xff\xd8\xff"
_PNG = b"\x89PNG\r\n\x1a\n"
_PNG_SIZE = Struct(">II")
_PNG_SIZE_AT = 16
_JPEG_SIZE = Struct(">HH")
_BASELINE = frozenset((0xC0, 0xC1))
_PROGRESSIVE_FRAME = 0xC2
PROGRESSIVE = "progressive JPEG"
# A header has a dozen; what comes behind so many is read as the decoder reads it.
_FEW_SEGMENTS = 64


class ImageSize(NamedTuple):
    """Size of an encoded image.

    Attributes:
        kind: what takes the same time for each pixel: the format, and whether a JPEG is progressive.
        pixels: width times height; 0 where the header cannot be read, and decoding will fail at once.
    """

    kind: str
    pixels: int


UNREADABLE = ImageSize("unreadable", 0)


def image_size(data: bytes) -> ImageSize:
    """Read the size of an image. Nothing is decoded, and nothing is checked."""
    if data.startswith(_JPEG):
        if (found := _jpeg_size(data)) is not None:
            return found
    elif data.startswith(_PNG) and len(data) >= _PNG_SIZE_AT + _PNG_SIZE.size:
        width, height = _PNG_SIZE.unpack_from(data, _PNG_SIZE_AT)
        return ImageSize("PNG", width * height)
    try:
        file = read_header(data)
    except ImageError:
        return UNREADABLE
    # A JPEG that comes here is an odd one, whose scans are not known.
    return ImageSize(PROGRESSIVE if file.format == "JPEG" else file.format, file.width * file.height)


def _jpeg_size(data: bytes) -> ImageSize | None:
    """Find the frame header of a well-formed JPEG; None where it takes a closer look."""
    at, end = 2, len(data) - 9
    for _ in range(_FEW_SEGMENTS):
        if at > end or data[at] != 0xFF:
            return None
        code = data[at + 1]
        if code in _BASELINE or code == _PROGRESSIVE_FRAME:
            height, width = _JPEG_SIZE.unpack_from(data, at + 5)
            return ImageSize(PROGRESSIVE if code == _PROGRESSIVE_FRAME else "JPEG", width * height)
        at += 2 + (data[at + 2] << 8) + data[at + 3]
    return None
