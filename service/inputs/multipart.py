"""A whole multipart/form-data body, taken apart in memory (RFC 7578).

No part is written to a disk: the body has been read within its limit, so its parts fit as well.
"""

from contextlib import closing
from dataclasses import dataclass

from service.errors import ServiceError
from service.inputs.disposition import Disposition
from service.inputs.form_parser import FormError, FormParser

# Space for text fields beside the images.
MOST_FIELDS = 16


@dataclass(frozen=True, slots=True)
class Part:
    """One part.

    Attributes:
        name: the field's name.
        is_file: whether it has a file name, or the type of an image or of plain bytes.
        content: its bytes.
    """

    name: str
    is_file: bool
    content: bytes

    @property
    def text(self) -> str:
        """Decode the content of a text field.

        Raises:
            ServiceError: 400 `malformed_multipart` where it is not UTF-8.
        """
        try:
            return self.content.decode()
        except UnicodeDecodeError as error:
            raise _malformed(f"the field {self.name} is not UTF-8 text") from error


def parse_multipart(content_type: str, body: bytes, most_files: int) -> list[Part]:
    """Take a body apart, in its order.

    Raises:
        ServiceError: 400 `malformed_multipart`; 413 `too_many_items` for more than `most_files` and a
            few fields.
    """
    parts = _Parts(most_files)
    try:
        with closing(FormParser(content_type, parts)) as parser:
            parser.feed(body)
            parser.finish()
    except FormError as error:
        raise _malformed(str(error)) from error
    return parts.found


def too_many_items(limit: int) -> ServiceError:
    """Make the refusal of a body with more images than one request may hold."""
    return ServiceError(
        413,
        "too_many_items",
        f"The request holds more than {limit} images. Send fewer in one request, use /v1/batch, "
        "or raise INFOMAX_MAX_REQUEST_ITEMS.",
        limit=limit,
        setting="INFOMAX_MAX_REQUEST_ITEMS",
    )


class _Parts:
    """Collector of whole parts."""

    def __init__(self, most_files: int) -> None:
        self.found: list[Part] = []
        self._most_files = most_files
        self._name, self._is_file = "", False
        self._content: list[bytes] = []

    def begin_part(self, disposition: Disposition) -> None:
        if len(self.found) >= self._most_files + MOST_FIELDS:
            raise too_many_items(self._most_files)
        if disposition.name is None:
            raise _malformed("a part has no name in its Content-Disposition")
        self._name, self._is_file = disposition.name, disposition.is_file
        self._content = []

    def take_content(self, data: bytes) -> None:
        self._content.append(data)

    def end_part(self) -> None:
        self.found.append(Part(self._name, self._is_file, b"".join(self._content)))


def _malformed(reason: str) -> ServiceError:
    return ServiceError(400, "malformed_multipart", f"The multipart body cannot be taken apart: {reason}.")
