"""Tar archives (ustar, POSIX.1-1988) of a few images, numbered, for the body of a request."""

from collections.abc import Iterable

_BLOCK = 512
_END = bytes(2 * _BLOCK)
_NAME_DIGITS = 8
_BEFORE_SIZE = b"0000644\0" + b"0000000\0" * 2
_BEHIND_SIZE = b"00000000000\0"
_BEHIND_CHECKSUM = (b"0" + bytes(100) + b"ustar\x0000").ljust(_BLOCK - 156, b"\0")
_NAME_PADDING = bytes(100 - _NAME_DIGITS)
# The checksum counts itself as eight blanks.
_CONSTANT_SUM = sum(_BEFORE_SIZE) + sum(_BEHIND_SIZE) + sum(_BEHIND_CHECKSUM) + 8 * ord(" ")


def tar_body(images: Iterable[bytes]) -> bytes:
    """Write an archive whose members are named by their places, from 0."""
    parts: list[bytes] = []
    for place, image in enumerate(images):
        parts += (_header(place, len(image)), image, bytes(-len(image) % _BLOCK))
    parts.append(_END)
    return b"".join(parts)


def _header(place: int, size: int) -> bytes:
    name, octal = b"%08d" % place, b"%011o\0" % size
    checksum = b"%06o\0 " % (_CONSTANT_SUM + sum(name) + sum(octal))
    return b"".join((name, _NAME_PADDING, _BEFORE_SIZE, octal, _BEHIND_SIZE, checksum, _BEHIND_CHECKSUM))
