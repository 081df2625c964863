"""Parser of multipart/form-data: parts, as the pieces of the body come (RFC 7578)."""

from typing import Protocol

from python_multipart import MultipartParser
from python_multipart.exceptions import FormParserError
from python_multipart.multipart import parse_options_header

from service.inputs.disposition import Disposition


class FormError(Exception):
    """Fault of a body: what is wrong, and what to do where that helps; without the last full stop."""


class PartHandler(Protocol):
    """Receiver of the parts."""

    def begin_part(self, disposition: Disposition) -> None:
        """Take the head of the next part."""

    def take_content(self, data: bytes) -> None:
        """Take the next bytes of its content."""

    def end_part(self) -> None:
        """Take the end of its content."""


class FormParser:
    """Parser of one body. It refers back to itself until it is closed."""

    def __init__(self, content_type: str, handler: PartHandler) -> None:
        """`content_type` is the header, which names the boundary.

        Raises:
            FormError: it names none.
        """
        _, options = parse_options_header(content_type)
        boundary = options.get(b"boundary")
        if not boundary:
            raise FormError("the Content-Type names no boundary. Leave that header to the HTTP library")
        self._name, self._value = bytearray(), bytearray()
        self._headers: dict[bytes, bytes] = {}
        self._empty, self._ended = True, False
        try:
            self._parser = MultipartParser(
                boundary,
                {
                    "on_header_field": lambda data, start, end: self._name.extend(data[start:end]),
                    "on_header_value": lambda data, start, end: self._value.extend(data[start:end]),
                    "on_header_end": self._end_header,
                    "on_headers_finished": lambda: handler.begin_part(self._disposition()),
                    "on_part_data": lambda data, start, end: handler.take_content(data[start:end]),
                    "on_part_end": handler.end_part,
                    "on_end": self._end,
                },
            )
        except FormParserError as error:
            raise FormError(_clause(error)) from error

    def feed(self, data: bytes) -> None:
        """Take the next piece of the body. What stands behind its last boundary has no meaning.

        Raises:
            FormError: the body is damaged.
        """
        self._empty = self._empty and not data
        if self._ended:
            return
        try:
            self._parser.write(data)
        except FormParserError as error:
            raise FormError(_clause(error)) from error

    def finish(self) -> None:
        """Take the end of the body.

        Raises:
            FormError: it is empty, or cut short.
        """
        if self._empty:
            raise FormError("the body is empty. Send each image as a part with a file name")
        if not self._ended:
            raise FormError("it stops before its last boundary. Send all of it")

    def close(self) -> None:
        """Let go of the handler and of what was read."""
        self._parser.callbacks = {}

    def _end_header(self) -> None:
        self._headers[bytes(self._name).lower()] = bytes(self._value)
        self._name.clear()
        self._value.clear()

    def _disposition(self) -> Disposition:
        headers, self._headers = self._headers, {}
        return Disposition(headers)

    def _end(self) -> None:
        self._ended = True


def _clause(error: FormParserError) -> str:
    return str(error).rstrip(".")
