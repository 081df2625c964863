"""Encoded bytes in, a model's uint8 pixels out: the only image decoder of both halves.

Policy, the same everywhere: formats by allow-list; the first frame of an animation; EXIF orientation
applied; transparency composited over a stated background; 16-bit grey scaled to 8 bits, not clipped;
CMYK, palette and grey converted to RGB; colour profiles ignored, as nearly all training pipelines do.
"""

import warnings
from dataclasses import dataclass
from io import BytesIO

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageFile, ImageOps, UnidentifiedImageError

from contract.errors import ImageError
from contract.preprocessing import Preprocessing

# Formats whose decoders run no outside program and are widely fuzzed. Pillow opens the MPO of some
# phones as JPEG, which it is, with further pictures behind the first.
ALLOWED_FORMATS = ("JPEG", "PNG", "WEBP", "BMP", "GIF")
_JPEG_FORMATS = ("JPEG", "MPO")
_JPEG_START_OF_SCAN = b"\xff\xda"
# Up to here bytes.count is the faster way to count them.
_COUNTED_BYTES = 2**13
_ORIENTATION_TAG = 0x0112

# Pillow warns at 89 megapixels; the stated limit takes that warning's place. Here and not around the call,
# since the filters are shared by all threads.
warnings.filterwarnings("ignore", category=Image.DecompressionBombWarning)


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


@dataclass(frozen=True)
class DecodedImage:
    """One image as the encoder wants it.

    Attributes:
        pixels: uint8 [height, width, 3], RGB.
        original_width, original_height: size in pixels after the EXIF orientation was applied.
        format: Pillow's name of the encoded format.
    """

    pixels: NDArray[np.uint8]
    original_width: int
    original_height: int
    format: str


def decode(data: bytes, rule: Preprocessing, limits: ImageLimits | None = None) -> DecodedImage:
    """Decode one encoded image by the model's rule.

    Raises:
        ImageError: with code `empty_image`, `image_too_large`, `unsupported_format`,
            `too_many_pixels`, `too_many_scans`, `truncated_image` or `corrupt_image`.
    """
    image = open_upright(data, limits or ImageLimits(), draft_size=_draft_size(rule))
    width, height = image.info["infomax_original_size"]
    pixels = _to_rgb(image, rule.background).resize((rule.width, rule.height), Image.Resampling.BILINEAR)
    return DecodedImage(
        pixels=np.asarray(pixels),
        original_width=width,
        original_height=height,
        format=image.info["infomax_format"],
    )


def open_rgb(
    data: bytes, limits: ImageLimits | None = None, background: tuple[int, int, int] = (255, 255, 255)
) -> Image.Image:
    """Decode at full size to an upright RGB image, for pictures that people look at.

    Raises:
        ImageError: as `decode`.
    """
    return _to_rgb(open_upright(data, limits or ImageLimits(), draft_size=None), background)


def open_upright(data: bytes, limits: ImageLimits, draft_size: tuple[int, int] | None) -> Image.Image:
    """Check, open, load and turn one image; `draft_size` allows a smaller JPEG decode of at least that size.

    The result's `info` carries `infomax_original_size` (width, height after turning) and
    `infomax_format`, because both are lost by loading and turning.

    Raises:
        ImageError: as `decode`.
    """
    image = _open(data, limits)
    image_format = image.format or "unknown"
    original_size = image.size
    try:
        if draft_size is not None:
            image.draft("RGB", draft_size)
        if image_format in _JPEG_FORMATS:
            # One piece in place of dozens: nothing is copied, and the interpreter lock is left once.
            image.decodermaxblock = len(data)
        image.load()
        if image.getexif().get(_ORIENTATION_TAG, 1) in (5, 6, 7, 8):
            original_size = original_size[::-1]
        ImageOps.exif_transpose(image, in_place=True)
    except Exception as error:
        # Pillow's decoders raise an open set of types on hostile bytes; all of them mean one thing.
        raise _undecodable(error) from error
    image.info["infomax_original_size"] = original_size
    image.info["infomax_format"] = image_format
    return image


def _open(data: bytes, limits: ImageLimits) -> ImageFile.ImageFile:
    if not data:
        raise ImageError("empty_image", "The image has 0 bytes; send the encoded file's content.")
    if len(data) > limits.max_bytes:
        raise ImageError(
            "image_too_large",
            f"The image has {len(data):,} bytes, the limit is {limits.max_bytes:,}; "
            "send a smaller file or raise INFOMAX_MAX_IMAGE_BYTES.",
            limit=limits.max_bytes,
        )
    try:
        image = Image.open(BytesIO(data), formats=ALLOWED_FORMATS)
    except UnidentifiedImageError as error:
        raise ImageError(
            "unsupported_format",
            f"The bytes (starting {data[:8].hex(' ')}) are no image in an accepted format; "
            f"accepted are {', '.join(ALLOWED_FORMATS)}.",
        ) from error
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise _too_many_pixels("The image has hundreds of millions of pixels", limits) from error
    except Exception as error:
        raise _undecodable(error) from error
    width, height = image.size
    if width * height > limits.max_pixels:
        raise _too_many_pixels(f"The image is {width} x {height} = {width * height:,} pixels", limits)
    if image.format in _JPEG_FORMATS:
        scans = _scans(data)
        if scans > limits.max_scans:
            raise ImageError(
                "too_many_scans",
                f"The JPEG has {scans} scans, the limit is {limits.max_scans}; "
                "save it again as a baseline JPEG.",
                limit=limits.max_scans,
            )
    return image


def _too_many_pixels(what: str, limits: ImageLimits) -> ImageError:
    return ImageError(
        "too_many_pixels",
        f"{what}, the limit is {limits.max_pixels:,}; scale it down or raise INFOMAX_MAX_IMAGE_PIXELS.",
        limit=limits.max_pixels,
    )


def _scans(data: bytes) -> int:
    """How many start-of-scan markers there are.

    Of 12 megapixels bytes.count takes four milliseconds, a tenth of their decoding, in which no other thread
    runs. NumPy takes a tenth of that and lets them run.
    """
    if len(data) <= _COUNTED_BYTES:
        return data.count(_JPEG_START_OF_SCAN)
    marker = int.from_bytes(_JPEG_START_OF_SCAN, "little")
    pairs = (np.frombuffer(data, "<u2", (len(data) - odd) // 2, odd) for odd in (0, 1))
    return sum(int(np.count_nonzero(pair == marker)) for pair in pairs)


def _undecodable(error: Exception) -> ImageError:
    if "truncated" in str(error).lower() or isinstance(error, EOFError):
        return ImageError(
            "truncated_image", f"The image ends before its last pixel ({error}); send the whole file."
        )
    return ImageError(
        "corrupt_image",
        f"The image cannot be decoded ({type(error).__name__}: {error}); "
        "check the file with an image viewer.",
    )


def _draft_size(rule: Preprocessing) -> tuple[int, int] | None:
    if rule.draft_factor == 0:
        return None
    # The orientation is not known yet, so both axes must be able to hold the larger side.
    side = rule.draft_factor * max(rule.width, rule.height)
    return side, side


def _to_rgb(image: Image.Image, background: tuple[int, int, int]) -> Image.Image:
    if image.mode.startswith("I"):
        return _eight_bit(image).convert("RGB")
    if image.has_transparency_data:
        canvas = Image.new("RGBA", image.size, (*background, 255))
        return Image.alpha_composite(canvas, image.convert("RGBA")).convert("RGB")
    return image.convert("RGB")


def _eight_bit(image: Image.Image) -> Image.Image:
    """Scale 16-bit grey to 8 bits; Pillow's own conversion clips at 255 and turns photographs white."""
    deep = np.asarray(image).astype(np.int64).clip(0, 65535)
    return Image.fromarray((deep // 257).astype(np.uint8))
