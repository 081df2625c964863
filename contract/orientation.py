"""Orientation of the camera: the only thing that is read of EXIF and XMP.

All else in them is skipped unread, so that an odd entry costs no image. The pixels do not depend on it.
"""

import re
import struct

UPRIGHT = 1
_TAG = 0x0112
_EXIF_PREFIX = b"Exif\0\0"
_BYTE_ORDERS = {b"II": "<", b"MM": ">"}
_ENTRY_BYTES = 12
# TIFF's types of one integer, as struct names them. Some cameras write the tag as a signed or a long number.
_INTEGERS = {1: "B", 3: "H", 4: "I", 6: "b", 8: "h", 9: "i"}
_IN_XMP = re.compile(rb'tiff:Orientation(?:="|>)([1-8])')


def read_orientation(exif: bytes, xmp: bytes = b"") -> int:
    """Return 1 to 8 as EXIF counts them; 1 where neither block says otherwise.

    Args:
        exif: a TIFF structure, with or without the prefix that JPEG puts before it.
        xmp: an XMP packet; counts where EXIF has no orientation.
    """
    found = _in_exif(exif.removeprefix(_EXIF_PREFIX)) if exif else None
    if found is None and xmp and (match := _IN_XMP.search(xmp)):
        found = int(match[1])
    return found if found is not None and UPRIGHT <= found <= 8 else UPRIGHT


def _in_exif(tiff: bytes) -> int | None:
    order = _BYTE_ORDERS.get(tiff[:2])
    if order is None or len(tiff) < 8:
        return None
    (directory,) = struct.unpack_from(f"{order}I", tiff, 4)
    if directory + 2 > len(tiff):
        return None
    (count,) = struct.unpack_from(f"{order}H", tiff, directory)
    start = directory + 2
    # What is cut off counts as far as it reaches.
    for at in range(start, min(start + count * _ENTRY_BYTES, len(tiff) - _ENTRY_BYTES + 1), _ENTRY_BYTES):
        tag, kind = struct.unpack_from(f"{order}HH", tiff, at)
        if tag == _TAG and kind in _INTEGERS:
            return int(struct.unpack_from(order + _INTEGERS[kind], tiff, at + 8)[0])
    return None
