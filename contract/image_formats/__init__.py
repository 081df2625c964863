"""Accepted formats: one file for each, with what its header says and how its pixels are loaded.

Each decoder is given the file without unused metadata. Damage in metadata then costs no image.
"""

from contract.errors import ImageError
from contract.file_names import REMEDY, is_file_name
from contract.image_formats.avif import AvifFile
from contract.image_formats.bmp import BmpFile
from contract.image_formats.encoded_file import EncodedFile
from contract.image_formats.gif import GifFile
from contract.image_formats.heic import HeicFile
from contract.image_formats.jpeg import JpegFile
from contract.image_formats.png import PngFile
from contract.image_formats.tiff import TiffFile
from contract.image_formats.webp import WebpFile

# Their decoders run no outside program and are widely fuzzed.
FORMATS: tuple[type[EncodedFile], ...] = (
    JpegFile,
    PngFile,
    WebpFile,
    BmpFile,
    GifFile,
    TiffFile,
    AvifFile,
    HeicFile,
)
ALLOWED_FORMATS = tuple(one.format for one in FORMATS)
_SHOWN_BYTES = 8
_SHOWN_TEXT = 24
_TEXT = frozenset(b"\t\n\r") | frozenset(range(0x20, 0x7F))


def media_type(data: bytes) -> str:
    """Return the media type of an encoded image in a format that is accepted, by its first bytes."""
    found = _matching(data)
    return "application/octet-stream" if found is None else f"image/{found.format.lower()}"


def format_of(data: bytes) -> str:
    """Name the format that the first bytes say, one of `ALLOWED_FORMATS` or `unknown`."""
    found = _matching(data)
    return "unknown" if found is None else found.format


def read_header(data: bytes) -> EncodedFile:
    """Find an image's format by its first bytes and its size by its header; nothing is decoded.

    Raises:
        ImageError: with code `unsupported_format`, `unsupported_variant`, `truncated_image` or
            `corrupt_image`.
    """
    found = _matching(data)
    if found is not None:
        return found(data)
    raise ImageError(
        "unsupported_format",
        f"The bytes (starting {_start(data)}) are not an image in an accepted format. {_remedy(data)}",
    )


def _start(data: bytes) -> str:
    """Show the first bytes, in ASCII: as text where they are that, with all else escaped."""
    head = bytes(data[:_SHOWN_TEXT])
    return ascii(head.decode("ascii")) if _TEXT.issuperset(head) else head[:_SHOWN_BYTES].hex(" ")


def _remedy(data: bytes) -> str:
    if is_file_name(data):
        return f"They are the name of a file: {REMEDY}."
    return f"Accepted are {', '.join(ALLOWED_FORMATS)}."


def _matching(data: bytes) -> type[EncodedFile] | None:
    return next((one for one in FORMATS if one.matches(data)), None)
