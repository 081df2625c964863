"""Encoded bytes in, a model's uint8 pixels out: the only image decoder of both halves.

Policy, the same everywhere: formats by allow-list; the first frame of an animation; EXIF orientation
applied; transparency composited over a stated background; 16-bit grey scaled to 8 bits, not clipped;
CMYK, palette and grey converted to RGB; colour profiles ignored or converted to sRGB, as the rule states.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from contract.errors import ImageError
from contract.image_formats import ALLOWED_FORMATS, read_header
from contract.image_formats.encoded_file import EncodedFile
from contract.image_formats.failures import corrupt, undecodable
from contract.image_limits import ImageLimits
from contract.preprocessing import ColorProfile, Preprocessing
from contract.resizing import draft_size, resized
from contract.to_rgb import to_rgb
from contract.windows import windows

__all__ = ["ALLOWED_FORMATS", "DecodedImage", "decode", "open_rgb"]

_TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
_SIDES_SWAPPED = (5, 6, 7, 8)

# Pillow warns at 89 megapixels and refuses twice as many; the stated limit takes the place of both.
Image.MAX_IMAGE_PIXELS = None


@dataclass(frozen=True)
class DecodedImage:
    """One image as the encoder wants it.

    Attributes:
        pixels: uint8 [height, width, 3], RGB.
        original_width, original_height: size in pixels after the EXIF orientation was applied.
        format: name of the encoded format.
        windows: uint8 [R, R, height, width, 3], as `contract.windows.windows` for R displacements.
    """

    pixels: NDArray[np.uint8]
    original_width: int
    original_height: int
    format: str
    windows: NDArray[np.uint8] | None = None


def decode(
    data: bytes,
    rule: Preprocessing,
    limits: ImageLimits | None = None,
    displacements: Sequence[float] = (),
) -> DecodedImage:
    """Decode one encoded image by the model's rule, and its windows at these displacements.

    Raises:
        ImageError: with code `empty_image`, `image_too_large`, `unsupported_format`, `unsupported_variant`,
            `too_many_pixels`, `too_many_scans`, `truncated_image` or `corrupt_image`.
    """
    file = _checked(data, limits or ImageLimits())
    file.draft_size = _draft_size(rule, file)
    image = to_rgb(_upright(file), rule.background, _profile(file, rule.color_profile))
    width, height = _upright_size(file)
    pixels = np.asarray(resized(image, rule, (width, height)))
    beside = windows(image, rule, (width, height), displacements) if displacements else None
    return DecodedImage(pixels, width, height, file.format, beside)


def open_rgb(
    data: bytes,
    limits: ImageLimits | None = None,
    background: tuple[int, int, int] = (255, 255, 255),
    color_profile: ColorProfile = "ignore",
    least_side: int | None = None,
) -> Image.Image:
    """Decode to an upright RGB image, for pictures that people look at.

    Args:
        data: encoded bytes.
        limits: what the image may cost.
        background: color behind transparent pixels.
        color_profile: as in `Preprocessing`.
        least_side: pixels that both sides keep at least, where the format can be decoded smaller; None for
            full size.

    Raises:
        ImageError: as `decode`.
    """
    file = _checked(data, limits or ImageLimits())
    if least_side is not None:
        file.draft_size = (least_side, least_side)
    return to_rgb(_upright(file), background, _profile(file, color_profile))


def _checked(data: bytes, limits: ImageLimits) -> EncodedFile:
    """Read the header and hold it against the limits."""
    if not data:
        raise ImageError("empty_image", "The image has 0 bytes. Send the content of the encoded file.")
    if len(data) > limits.max_bytes:
        raise ImageError(
            "image_too_large",
            f"The image has {len(data):,} bytes, the limit is {limits.max_bytes:,}. "
            "Send a smaller file or raise INFOMAX_MAX_IMAGE_BYTES.",
            limit=limits.max_bytes,
        )
    file = read_header(data)
    pixels = file.width * file.height
    if file.width <= 0 or file.height <= 0:
        raise corrupt(file.format, f"its header says {file.width} x {file.height} pixels")
    if pixels > limits.max_pixels:
        raise ImageError(
            "too_many_pixels",
            f"The image is {file.width} x {file.height} = {pixels:,} pixels, the limit is "
            f"{limits.max_pixels:,}. Scale it down or raise INFOMAX_MAX_IMAGE_PIXELS.",
            limit=limits.max_pixels,
        )
    file.max_scans = limits.max_scans
    return file


def _upright(file: EncodedFile) -> Image.Image:
    try:
        image = file.load()
        turn = _TURNS.get(file.orientation)
        return image if turn is None else image.transpose(turn)
    except ImageError:
        raise
    except Exception as error:
        # Pillow's decoders raise an open set of types on hostile bytes; all of them mean one thing.
        raise undecodable(file.format, error) from error


def _upright_size(file: EncodedFile) -> tuple[int, int]:
    """Return (width, height) of the image once it is turned."""
    if file.orientation in _SIDES_SWAPPED:
        return file.height, file.width
    return file.width, file.height


def _draft_size(rule: Preprocessing, file: EncodedFile) -> tuple[int, int] | None:
    """Return the least (width, height) of the stored pixels that a reduced decode has to keep."""
    size = draft_size(rule, _upright_size(file))
    return size[::-1] if size is not None and file.orientation in _SIDES_SWAPPED else size


def _profile(file: EncodedFile, color_profile: ColorProfile) -> bytes:
    return file.icc_profile if color_profile == "srgb" else b""
