"""A stream as NDJSON: one JSON object a line, its image in base64."""

import re

from service.errors import ServiceError
from service.index.vectors import pack
from service.inference.results import Failed
from service.inputs.base64_image import decode_text, kind_of
from service.inputs.image_buffer import image_too_large
from service.inputs.json_text import BYTE_ORDER_MARK, read_json, shown
from service.inputs.stream import BareVector, StreamLimits, StreamParser, damaged_stream

MEMBERS = ("id", "image", "metadata", "vector")
# What a line holds besides its image: an id, metadata, or a vector written out with all its digits.
_BESIDES_IMAGE = 2**20
_SPACE = b" \t\r"
# As one match, since senders may keep a connection open with nothing else.
_EMPTY_LINES = re.compile(rb"(?:[ \t\r]*+\n)++")


class NdjsonParser(StreamParser):
    """Lines `{"id"?, "image" | "vector", "metadata"?}`; a line that is not one fails alone.

    Empty lines are not items. A line too long to hold an image within the limit is read past, not held.
    """

    def __init__(self, limits: StreamLimits) -> None:
        super().__init__(limits)
        self._most = -(-limits.image_bytes // 3) * 4 + _BESIDES_IMAGE
        self._line = bytearray()
        self._length = 0
        self._number = 0
        self._empty = 0

    def feed(self, data: bytes) -> None:
        start = self._skip_empty(data, 0)
        while (end := data.find(b"\n", start)) >= 0:
            if self._length == 0 and end - start <= self._most:
                # The common case: the whole line is in this piece.
                self._read(data[start:end])
            else:
                self._extend(data[start:end])
                self._end_line()
            start = self._skip_empty(data, end + 1)
        self._extend(data[start:])

    def finish(self) -> None:
        if self._length:
            self._end_line()

    def _skip_empty(self, data: bytes, start: int) -> int:
        """Return where the first line begins that is not empty, or that goes on from the piece before."""
        if self._length or not (match := _EMPTY_LINES.match(data, start)):
            return start
        lines = data.count(b"\n", start, match.end())
        self._number += lines
        self._empty += lines
        if self._empty > self._limits.items:
            raise damaged_stream(
                f"The stream has more than {self._limits.items:,} empty lines. Send lines with an item each."
            )
        return match.end()

    def _extend(self, data: bytes) -> None:
        self._length += len(data)
        if self._length <= self._most:
            self._line += data
        else:
            self._line.clear()

    def _end_line(self) -> None:
        length, self._length = self._length, 0
        if length > self._most:
            self._number += 1
            how_large = f"is in line {self._number}, which has {length:,} bytes"
            self._add(None, image_too_large(how_large, self._limits.image_bytes))
            return
        line = bytes(self._line)
        self._line.clear()
        self._read(line)

    def _read(self, line: bytes) -> None:
        self._number += 1
        if self._number == 1:
            line = line.removeprefix(BYTE_ORDER_MARK)
        if not line or not line.strip(_SPACE):
            return
        try:
            value = read_json(line, vector="vector")
        except ValueError as error:
            self._add(None, self._invalid(f"is not JSON ({error})"))
            return
        if not isinstance(value, dict):
            self._add(None, self._invalid(f"is {kind_of(value)} and not an object"))
            return
        name = value.get("id")
        if name is not None and not isinstance(name, str):
            self._add(None, self._invalid(f"has the id {shown(name)}, which is not a string"))
            return
        self._add(name, self._content(value), value.get("metadata"))

    def _content(self, value: dict[str, object]) -> bytes | BareVector | Failed:
        unknown = [member for member in value if member not in MEMBERS]
        if unknown:
            return self._invalid(f"has a member {unknown[0][:40]!r}: known are {', '.join(MEMBERS)}")
        image, vector = value.get("image"), value.get("vector")
        if (image is None) == (vector is None):
            return self._invalid("must have one of image and vector")
        if image is None:
            return BareVector(pack(vector))
        try:
            return decode_text(image, f"Line {self._number}: image")
        except ServiceError as error:
            return Failed(error.code, str(error))

    def _invalid(self, reason: str) -> Failed:
        return Failed("invalid_line", f"Line {self._number} {reason}.")
