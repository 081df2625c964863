"""Arrow's stream format, piece by piece: where each of its messages ends, and what kind it is.

PyArrow's own reader blocks until a message is there, and allocates what its metadata claim. Here a message is
measured first. See "Encapsulated message format" in Arrow's specification, and Message.fbs.
"""

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from enum import IntEnum

from service.inputs.stream import damaged_stream

ARROW = "application/vnd.apache.arrow.stream"

_CONTINUATION = b"\xff\xff\xff\xff"
_PREFIX_BYTES = 8
_MOST_METADATA_BYTES = 2**20
# Slots of the tables in Message.fbs.
_HEADER_TYPE, _HEADER, _BODY_LENGTH = 1, 2, 3
_DICTIONARY_DATA = 1
_BATCH_COMPRESSION = 3


class Kind(IntEnum):
    """Kinds of messages, as Message.fbs numbers them."""

    SCHEMA = 1
    DICTIONARY = 2
    BATCH = 3


@dataclass(frozen=True, slots=True)
class Message:
    """A message as it came, with its prefix."""

    kind: Kind
    data: bytes


class Messages:
    """Cutter of one stream into messages."""

    def __init__(self, most_bytes: int) -> None:
        """`most_bytes` bounds a message."""
        self._most = most_bytes
        self._buffer = bytearray()
        self._ended = False

    def feed(self, data: bytes) -> Iterator[Message]:
        """Take the next piece; yield the messages that it completes.

        Raises:
            ServiceError: 422 `damaged_stream`; 413 `too_many_bytes` for a message beyond the limit.
        """
        if self._ended:
            raise damaged_stream("The Arrow stream goes on after its end mark. Send one stream.")
        self._buffer += data
        while not self._ended and (measured := self._measure()) is not None:
            kind, size = measured
            if len(self._buffer) < size:
                return
            message = bytes(memoryview(self._buffer)[:size])
            del self._buffer[:size]
            yield Message(kind, message)

    def finish(self) -> None:
        """Take the end of the stream; the end mark may be missing, as some writers leave it out.

        Raises:
            ServiceError: 422 `damaged_stream` where it ended within a message.
        """
        if not self._ended and self._buffer:
            raise damaged_stream("The Arrow stream ends within a message. Send it whole.")

    def _measure(self) -> tuple[Kind, int] | None:
        """Measure the message in front, once its metadata are there."""
        if len(self._buffer) < _PREFIX_BYTES:
            return None
        if self._buffer[:4] != _CONTINUATION:
            raise damaged_stream(
                "The body is not an Arrow stream, or one of before Arrow 0.15. Write it with "
                "pyarrow.ipc.new_stream; files of new_file have another format."
            )
        (length,) = struct.unpack_from("<i", self._buffer, 4)
        if length == 0:
            self._ended = True
            return None
        if not 0 < length <= _MOST_METADATA_BYTES:
            raise damaged_stream(f"A message of the Arrow stream claims {length:,} bytes of metadata.")
        if len(self._buffer) < _PREFIX_BYTES + length:
            return None
        try:
            kind, body = _read_metadata(bytes(self._buffer[_PREFIX_BYTES : _PREFIX_BYTES + length]))
        except (struct.error, ValueError) as error:
            raise damaged_stream("The metadata of a message of the Arrow stream cannot be read.") from error
        size = _PREFIX_BYTES + length + body
        if body < 0 or size > self._most:
            raise damaged_stream(
                f"A record batch has {size:,} bytes, the limit is {self._most:,}. Write smaller ones, as by "
                "write_table(table, max_chunksize=4096), or raise INFOMAX_MAX_REQUEST_BYTES."
            )
        return kind, size


def _read_metadata(data: bytes) -> tuple[Kind, int]:
    """Return the kind of a message, and the bytes of its body."""
    (root,) = struct.unpack_from("<I", data, 0)
    kind = Kind(data[_required(data, root, _HEADER_TYPE)])
    header = _follow(data, _required(data, root, _HEADER))
    batch = _follow(data, _required(data, header, _DICTIONARY_DATA)) if kind is Kind.DICTIONARY else header
    if kind is not Kind.SCHEMA and _slot(data, batch, _BATCH_COMPRESSION):
        # How large its buffers become is known only when they are.
        raise damaged_stream(
            "The buffers of the Arrow stream are compressed. Write them without compression."
        )
    place = _slot(data, root, _BODY_LENGTH)
    return kind, struct.unpack_from("<q", data, place)[0] if place else 0


def _slot(data: bytes, table: int, number: int) -> int:
    """Find a field of a flatbuffers table; 0 where it has its default."""
    (distance,) = struct.unpack_from("<i", data, table)
    (size,) = struct.unpack_from("<H", data, table - distance)
    if 4 + 2 * number >= size:
        return 0
    (offset,) = struct.unpack_from("<H", data, table - distance + 4 + 2 * number)
    return table + offset if offset else 0


def _required(data: bytes, table: int, number: int) -> int:
    place = _slot(data, table, number)
    if not 0 < place < len(data):
        raise ValueError(number)
    return place


def _follow(data: bytes, place: int) -> int:
    (offset,) = struct.unpack_from("<I", data, place)
    return place + int(offset)
