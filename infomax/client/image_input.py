"""Images as callers give them, turned into encoded bytes."""

import io
import os
import stat
from typing import TYPE_CHECKING, Any, TypeAlias, Union

import numpy as np
from numpy.typing import NDArray

from infomax.client.errors import ImageInputError
from infomax.client.png import png

if TYPE_CHECKING:
    from PIL import Image

ImageInput: TypeAlias = Union[
    str, os.PathLike[str], bytes, bytearray, memoryview, NDArray[np.uint8], "Image.Image"
]
"""A path, a link (a text that begins with `http://` or `https://`), encoded bytes, pixels, or a PIL image."""

_READ_ONLY = (
    os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_BINARY", 0)
)
_SCHEMES = ("http://", "https://")
# What a PNG can hold as it is.
_PNG_MODES = ("1", "L", "LA", "P", "RGB", "RGBA", "I;16")


def is_link(image: object) -> bool:
    """Tell whether an image has to be fetched."""
    return isinstance(image, str) and image.lower().startswith(_SCHEMES)


def default_id(image: object, place: int) -> str:
    """Return the id of an image that was given without one: its path or link, else its place."""
    if isinstance(image, str | os.PathLike):
        name = os.fspath(image)
        return name if name.isascii() else os.fsencode(name).decode("utf-8", "backslashreplace")
    return str(place)


def encoded(image: Any, most_bytes: int) -> bytes:
    """Return the encoded bytes of an image that needs no network.

    Args:
        image: an `ImageInput` other than a link; or why there is none, which is raised.
        most_bytes: a file with more is refused and not read whole.

    Raises:
        ImageInputError: the image cannot be read, is too large, or is not an image.
    """
    if isinstance(image, str | os.PathLike):
        return _file(image, most_bytes)
    if isinstance(image, bytes | bytearray | memoryview):
        return _within(bytes(image), most_bytes)
    if isinstance(image, ImageInputError):
        raise image
    if isinstance(image, np.ndarray):
        try:
            return _within(png(image), most_bytes)
        except ValueError as error:
            raise ImageInputError("unsupported_input", str(error)) from None
    if hasattr(image, "save") and hasattr(image, "mode"):
        return _within(_pillow(image), most_bytes)
    raise ImageInputError(
        "unsupported_input",
        f"A {type(image).__name__} is not an image. "
        "Give a path, a link, bytes, a NumPy array or a PIL image.",
    )


def _file(path: "str | os.PathLike[str]", most_bytes: int) -> bytes:
    """Read a regular file by few calls: with small images, files are half of what a client costs."""
    try:
        # A pipe would wait for its other end.
        descriptor = os.open(path, _READ_ONLY)
        try:
            info = os.fstat(descriptor)
            if not stat.S_ISREG(info.st_mode):
                raise ImageInputError(
                    "unreadable_file", "This is a folder, a pipe or a device, and not a file."
                )
            data = os.read(descriptor, min(info.st_size, most_bytes) + 1)
            # A file of another size than its entry says, or over two gigabytes.
            while len(data) != info.st_size and (more := os.read(descriptor, most_bytes + 1 - len(data))):
                data += more
        finally:
            os.close(descriptor)
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else error
        raise ImageInputError("unreadable_file", f"The file cannot be read: {reason or error}.") from None
    return _within(data, most_bytes)


def _pillow(image: "Image.Image") -> bytes:
    """Write a PIL image as a PNG, turned upright as its EXIF orientation says, with its colour profile."""
    from PIL import ImageOps

    upright = ImageOps.exif_transpose(image)
    if upright.mode not in _PNG_MODES:
        upright = upright.convert("RGB")
    file = io.BytesIO()
    upright.save(file, "PNG", compress_level=1)
    return file.getvalue()


def _within(data: bytes, most_bytes: int) -> bytes:
    if len(data) > most_bytes:
        raise ImageInputError(
            "image_too_large",
            f"The image has more than {most_bytes:,} bytes. Send a smaller one, or raise max_image_bytes.",
        )
    return data
