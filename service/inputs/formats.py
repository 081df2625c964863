"""Which formats a stream may come in."""

from collections.abc import AsyncIterator, Callable

from service.errors import ServiceError
from service.inputs.arrow_messages import ARROW
from service.inputs.multipart_stream import MultipartStreamParser
from service.inputs.ndjson import NdjsonParser
from service.inputs.stream import Groups, StreamLimits, parsed
from service.inputs.tar import TarParser
from service.inputs.zip import zip_items

Reader = Callable[[AsyncIterator[bytes], str, StreamLimits], Groups]
"""From a body's pieces, its Content-Type and the limits to its items."""


def _multipart(pieces: AsyncIterator[bytes], content_type: str, limits: StreamLimits) -> Groups:
    return parsed(pieces, MultipartStreamParser(content_type, limits))


def _ndjson(pieces: AsyncIterator[bytes], _content_type: str, limits: StreamLimits) -> Groups:
    return parsed(pieces, NdjsonParser(limits))


def _tar(pieces: AsyncIterator[bytes], _content_type: str, limits: StreamLimits) -> Groups:
    return parsed(pieces, TarParser(limits))


def _zip(pieces: AsyncIterator[bytes], _content_type: str, limits: StreamLimits) -> Groups:
    return zip_items(pieces, limits)


def _arrow(pieces: AsyncIterator[bytes], _content_type: str, limits: StreamLimits) -> Groups:
    # PyArrow takes 26 MiB of each worker that is sent an Arrow stream, and of no other.
    from service.inputs.arrow import ArrowParser

    return parsed(pieces, ArrowParser(limits))


READERS: dict[str, Reader] = {
    "multipart/form-data": _multipart,
    "application/x-ndjson": _ndjson,
    "application/ndjson": _ndjson,
    "application/jsonl": _ndjson,
    ARROW: _arrow,
    "application/x-tar": _tar,
    "application/zip": _zip,
    "application/x-zip-compressed": _zip,
}
ADVERTISED = ("multipart/form-data", "application/x-ndjson", ARROW, "application/x-tar", "application/zip")
"""The names by which the formats are recommended; the others are aliases."""

_SHOWN = 64


def reader_for(kind: str) -> Reader:
    """Return the reader of a media type.

    Raises:
        ServiceError: 415 `unsupported_media_type`, with what to send instead.
    """
    if reader := READERS.get(kind):
        return reader
    accepted = " or ".join((", ".join(ADVERTISED[:-1]), ADVERTISED[-1]))
    advice = f"send a stream as {accepted}"
    if kind.startswith("image/"):
        advice = f"send a single image to /v1/embeddings, and several as {accepted}"
    elif "gzip" in kind or kind in ("application/x-gtar", "application/x-compressed-tar"):
        advice = (
            "send the tar archive as application/x-tar, with Content-Encoding: gzip where it is compressed"
        )
    raise ServiceError(
        415,
        "unsupported_media_type",
        f"A body of type {kind[:_SHOWN]!a} is not a stream of images: {advice}.",
    )
