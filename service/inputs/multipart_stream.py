"""A stream as multipart/form-data: every file part is an image (RFC 7578)."""

from service.errors import ServiceError
from service.inputs.disposition import Disposition
from service.inputs.form_parser import FormError, FormParser
from service.inputs.image_buffer import ImageBuffer
from service.inputs.names import member_id
from service.inputs.parameters import refused
from service.inputs.stream import StreamLimits, StreamParser, damaged_stream


class MultipartStreamParser(StreamParser):
    """File parts as items; a part's id is its file name, or the field's name where it has none."""

    def __init__(self, content_type: str, limits: StreamLimits) -> None:
        """`content_type` is the header, which names the boundary.

        Raises:
            ServiceError: 422 `damaged_stream` where it names none.
        """
        super().__init__(limits)
        self._name = ""
        self._image = ImageBuffer(0)
        try:
            self._form = FormParser(content_type, self)
        except FormError as error:
            raise self._damaged(error) from error

    def feed(self, data: bytes) -> None:
        try:
            self._form.feed(data)
        except FormError as error:
            raise self._damaged(error) from error

    def finish(self) -> None:
        try:
            self._form.finish()
        except FormError as error:
            raise self._damaged(error) from error

    def close(self) -> None:
        self._form.close()

    def begin_part(self, disposition: Disposition) -> None:
        name = disposition.name or ""
        if not disposition.is_file:
            raise refused(
                f"The field {name[:40]!a} of the form is not a file. In a stream every part is an image, "
                "and parameters stand in the query."
            )
        self._name = member_id(disposition.filename) or name
        self._image = ImageBuffer(self._limits.image_bytes)

    def take_content(self, data: bytes) -> None:
        self._image.write(data)

    def end_part(self) -> None:
        self._add(self._name, self._image.content())

    def _damaged(self, error: FormError) -> ServiceError:
        return damaged_stream(f"The multipart body cannot be read on after {self._count} images: {error}.")
