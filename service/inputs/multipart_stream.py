"""A stream as multipart/form-data: every file part is an image (RFC 7578)."""

from typing import TYPE_CHECKING

from python_multipart import MultipartParser
from python_multipart.exceptions import FormParserError
from python_multipart.multipart import parse_options_header

from service.errors import ServiceError
from service.inputs.disposition import Disposition
from service.inputs.image_buffer import ImageBuffer
from service.inputs.names import member_id
from service.inputs.parameters import refused
from service.inputs.stream import StreamLimits, StreamParser, damaged_stream

if TYPE_CHECKING:
    from python_multipart.multipart import MultipartCallbacks


class MultipartStreamParser(StreamParser):
    """File parts as items; a part's id is its file name, or the field's name where it has none."""

    def __init__(self, content_type: str, limits: StreamLimits) -> None:
        """`content_type` is the header, which names the boundary.

        Raises:
            ServiceError: 422 `damaged_stream` where it names none.
        """
        super().__init__(limits)
        _, options = parse_options_header(content_type)
        boundary = options.get(b"boundary")
        if not boundary:
            raise damaged_stream(
                "The Content-Type of the multipart body names no boundary; "
                "leave that header to the HTTP library."
            )
        self._field = bytearray()
        self._value = bytearray()
        self._headers: dict[bytes, bytes] = {}
        self._name = ""
        self._image = ImageBuffer(0)
        self._ended = False
        self._empty = True
        try:
            self._parser = MultipartParser(boundary, self._callbacks())
        except FormParserError as error:
            raise self._damaged(str(error)) from error

    def feed(self, data: bytes) -> None:
        self._empty = self._empty and not data
        if self._ended:
            # What stands behind the last boundary has no meaning.
            return
        try:
            self._parser.write(data)
        except FormParserError as error:
            raise self._damaged(str(error)) from error

    def finish(self) -> None:
        if self._empty:
            raise self._damaged("the body is empty")
        if not self._ended:
            raise self._damaged("it stops before its last boundary; send all of it")

    def close(self) -> None:
        self._parser.callbacks = {}

    def _callbacks(self) -> "MultipartCallbacks":
        return {
            "on_part_begin": self._begin,
            "on_header_field": lambda data, start, end: self._field.extend(data[start:end]),
            "on_header_value": lambda data, start, end: self._value.extend(data[start:end]),
            "on_header_end": self._end_header,
            "on_headers_finished": self._end_headers,
            "on_part_data": lambda data, start, end: self._image.write(data[start:end]),
            "on_part_end": lambda: self._add(self._name, self._image.content()),
            "on_end": self._end,
        }

    def _begin(self) -> None:
        self._headers.clear()

    def _end_header(self) -> None:
        self._headers[bytes(self._field).lower()] = bytes(self._value)
        self._field.clear()
        self._value.clear()

    def _end_headers(self) -> None:
        disposition = Disposition(self._headers)
        name = disposition.name or ""
        if not disposition.is_file:
            raise refused(
                f"The field {name[:40]!a} of the form is not a file. In a stream every part is an image, "
                "and parameters stand in the query."
            )
        self._name = member_id(disposition.filename) or name
        self._image = ImageBuffer(self._limits.image_bytes)

    def _end(self) -> None:
        self._ended = True

    def _damaged(self, reason: str) -> ServiceError:
        return damaged_stream(
            f"The multipart body cannot be read on after {self._count} images: {reason.rstrip('.')}."
        )
