"""A whole multipart/form-data body, taken apart in memory (RFC 7578).

No part touches a disk: the body has been read within its limit, so its parts fit as well.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from python_multipart import MultipartParser
from python_multipart.exceptions import FormParserError
from python_multipart.multipart import parse_options_header

from service.errors import ServiceError
from service.inputs.disposition import Disposition

if TYPE_CHECKING:
    from python_multipart.multipart import MultipartCallbacks

# Space for text fields beside the images.
MOST_FIELDS = 16


@dataclass(frozen=True, slots=True)
class Part:
    """One part.

    Attributes:
        name: the field's name.
        is_file: it has a file name, or says that it is an image or plain bytes.
        content: its bytes.
    """

    name: str
    is_file: bool
    content: bytes

    @property
    def text(self) -> str:
        """The content of a text field.

        Raises:
            ServiceError: 400 `malformed_multipart` where it is not UTF-8.
        """
        try:
            return self.content.decode()
        except UnicodeDecodeError as error:
            raise _malformed(f"the field {self.name} is not UTF-8 text") from error


def parse_multipart(content_type: str, body: bytes, most_files: int) -> list[Part]:
    """Return the parts of a body, in its order.

    Raises:
        ServiceError: 400 `malformed_multipart`; 413 `too_many_items` for more than `most_files` and a
            few fields.
    """
    if not body:
        raise _malformed("it is empty; send each image as a part with a file name")
    _, options = parse_options_header(content_type)
    boundary = options.get(b"boundary")
    if not boundary:
        raise _malformed("its Content-Type names no boundary; leave that header to the HTTP library")
    collector = _Collector(most_files)
    try:
        parser = MultipartParser(boundary, collector.callbacks)
        parser.write(body)
    except FormParserError as error:
        raise _malformed(str(error)) from error
    if not collector.ended:
        raise _malformed("it stops before its last boundary; send all of it")
    return collector.parts


def too_many_items(limit: int) -> ServiceError:
    """Refuse a body with more images than one request may hold."""
    return ServiceError(
        413,
        "too_many_items",
        f"The request holds more than {limit} images. Send fewer in one request, use /v1/batch, "
        "or raise INFOMAX_MAX_REQUEST_ITEMS.",
        limit=limit,
        setting="INFOMAX_MAX_REQUEST_ITEMS",
    )


class _Collector:
    """Makes parts of the parser's events."""

    def __init__(self, most_files: int) -> None:
        self.parts: list[Part] = []
        self.ended = False
        self._most_files = most_files
        self._begun = 0
        self._header = (bytearray(), bytearray())
        self._headers: dict[bytes, bytes] = {}
        self._content: list[bytes] = []

    @property
    def callbacks(self) -> "MultipartCallbacks":
        return {
            "on_part_begin": self._begin,
            "on_header_field": self._header_field,
            "on_header_value": self._header_value,
            "on_header_end": self._header_end,
            "on_part_data": self._data,
            "on_part_end": self._end_part,
            "on_end": self._end,
        }

    def _begin(self) -> None:
        self._begun += 1
        if self._begun > self._most_files + MOST_FIELDS:
            raise too_many_items(self._most_files)
        self._headers = {}
        self._content = []

    def _header_field(self, data: bytes, start: int, end: int) -> None:
        self._header[0].extend(data[start:end])

    def _header_value(self, data: bytes, start: int, end: int) -> None:
        self._header[1].extend(data[start:end])

    def _header_end(self) -> None:
        name, value = map(bytes, self._header)
        self._headers[name.lower()] = value
        self._header = (bytearray(), bytearray())

    def _data(self, data: bytes, start: int, end: int) -> None:
        self._content.append(data[start:end])

    def _end_part(self) -> None:
        disposition = Disposition(self._headers)
        if disposition.name is None:
            raise _malformed("a part has no name in its Content-Disposition")
        self.parts.append(Part(disposition.name, disposition.is_file, b"".join(self._content)))

    def _end(self) -> None:
        self.ended = True


def _malformed(reason: str) -> ServiceError:
    return ServiceError(
        400, "malformed_multipart", f"The multipart body cannot be taken apart: {reason.rstrip('.')}."
    )
