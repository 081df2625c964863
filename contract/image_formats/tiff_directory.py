"""First page of a TIFF: its fields, read and checked before any decoder sees the file.

TIFF 6.0. A file may list thousands of fields and pages, each of any length. What the pixels are made of is
written anew as the only directory, behind the strips and tiles, which stay where they are.
"""

import struct
from collections.abc import Mapping

from contract.errors import ImageError
from contract.image_formats.failures import corrupt, truncated, unsupported_variant

WIDTH, HEIGHT, BITS, COMPRESSION, PHOTOMETRIC = 256, 257, 258, 259, 262
FILL_ORDER, STRIP_OFFSETS, ORIENTATION, SAMPLES, STRIP_ROWS, STRIP_BYTES = 266, 273, 274, 277, 278, 279
PLANES, PREDICTOR, PALETTE = 284, 317, 320
TILE_WIDTH, TILE_HEIGHT, TILE_OFFSETS, TILE_BYTES = 322, 323, 324, 325
EXTRA_SAMPLES, SAMPLE_FORMAT, XMP, ICC_PROFILE = 338, 339, 700, 34675

_OF_PIXELS = (
    *(WIDTH, HEIGHT, BITS, COMPRESSION, PHOTOMETRIC, FILL_ORDER, STRIP_OFFSETS, SAMPLES, STRIP_ROWS),
    *(STRIP_BYTES, PLANES, PREDICTOR, PALETTE, TILE_WIDTH, TILE_HEIGHT, TILE_OFFSETS, TILE_BYTES),
    *(EXTRA_SAMPLES, SAMPLE_FORMAT),
)
_ORDERS = {b"II": "<", b"MM": ">"}
_CLASSIC, _BIG = 42, 43
_ENTRY_BYTES = 12
# Types of whole numbers and of bytes, as struct names them.
_TYPES = {1: "B", 3: "H", 4: "I", 7: "B"}
# Each strip or tile costs a step of the interpreter.
_MOST_NUMBERS = 2**16
_MOST_TEXT = 4 * 2**20


class TiffDirectory:
    """Fields of the first page.

    Args:
        data: the whole file.

    Raises:
        ImageError: there is no directory, or it is of a kind that is not read.
    """

    def __init__(self, data: bytes) -> None:
        self._data = data
        if len(data) < 8:
            raise truncated("TIFF", "the file stops within its header")
        self._order = _ORDERS[data[:2]]
        if self._unpack("H", 2)[0] == _BIG:
            raise unsupported_variant("TIFF", "it is a BigTIFF", "Save it as an ordinary TIFF.")
        (at,) = self._unpack("I", 4)
        if at + 2 > len(data):
            raise truncated("TIFF", "the file stops before its directory")
        (count,) = self._unpack("H", at)
        stop = at + 2 + count * _ENTRY_BYTES
        if stop > len(data):
            raise truncated("TIFF", "the file stops within its directory")
        # Of a field that is listed twice, the first counts.
        self._entries = {
            self._unpack("H", entry)[0]: entry for entry in range(stop - _ENTRY_BYTES, at + 1, -_ENTRY_BYTES)
        }

    def numbers(self, tag: int) -> tuple[int, ...]:
        """Return the whole numbers of a field; none where it is missing.

        Raises:
            ImageError: the field is of another type, too long or cut off.
        """
        found = self._place(tag)
        if found is None:
            return ()
        letter, count, at = found
        if count > _MOST_NUMBERS:
            raise corrupt("TIFF", f"its field {tag} has {count:,} values, and {_MOST_NUMBERS:,} are read")
        return self._unpack(f"{count}{letter}", at)

    def number(self, tag: int, default: int) -> int:
        """Return the first number of a field."""
        found = self.numbers(tag)
        return found[0] if found else default

    def text(self, tag: int) -> bytes:
        """Return the bytes of a field of metadata; none where it is missing or damaged."""
        try:
            found = self._place(tag)
        except ImageError:
            return b""
        if found is None or found[0] != "B" or found[1] > _MOST_TEXT:
            return b""
        return self._data[found[2] : found[2] + found[1]]

    def rewritten(self, changes: Mapping[int, int]) -> bytes:
        """Return the file with a directory of what its pixels are made of, and of nothing else.

        Args:
            changes: fields that are set to one number.
        """
        fields: dict[int, tuple[int, ...]] = {tag: (value,) for tag, value in changes.items()}
        for tag in _OF_PIXELS:
            if tag not in fields and (numbers := self.numbers(tag)):
                fields[tag] = numbers
        start = len(self._data) + len(self._data) % 2
        values_at = start + 2 + len(fields) * _ENTRY_BYTES + 4
        entries, values = [], b""
        for tag in sorted(fields):
            packed = struct.pack(f"{self._order}{len(fields[tag])}I", *fields[tag])
            place = packed
            if len(packed) > 4:
                place = struct.pack(f"{self._order}I", values_at + len(values))
                values += packed
            entries.append(struct.pack(f"{self._order}HHI", tag, 4, len(fields[tag])) + place)
        directory = struct.pack(f"{self._order}H", len(entries)) + b"".join(entries) + bytes(4)
        head = self._data[:4] + struct.pack(f"{self._order}I", start)
        return b"".join((head, self._data[8:], bytes(start - len(self._data)), directory, values))

    def _place(self, tag: int) -> tuple[str, int, int] | None:
        """Find a field: the letter of its type, how many values it has and where they stand."""
        entry = self._entries.get(tag)
        if entry is None:
            return None
        _, kind, count = self._unpack("HHI", entry)
        letter = _TYPES.get(kind)
        if letter is None:
            raise corrupt("TIFF", f"its field {tag} is of type {kind}, which is not a whole number")
        length = count * struct.calcsize(letter)
        at = entry + 8 if length <= 4 else self._unpack("I", entry + 8)[0]
        if at + length > len(self._data):
            raise truncated("TIFF", f"the file stops within its field {tag}")
        return letter, count, at

    def _unpack(self, form: str, at: int) -> tuple[int, ...]:
        return struct.unpack_from(self._order + form, self._data, at)
