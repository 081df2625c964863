"""A request's whole body, read no further than its limit."""

from collections.abc import AsyncIterator

from fastapi import Request
from starlette.requests import ClientDisconnect

from contract.file_names import REMEDY, is_file_name
from service.errors import ServiceError
from service.inputs.content_encoding import body_pieces


def media_type(request: Request) -> str:
    """Return the body's type in lower case, without parameters; empty where the client names none."""
    return request.headers.get("content-type", "").split(";", 1)[0].strip().lower()


async def read_body(request: Request, limit: int) -> bytes:
    """Read the body's bytes, as they were before any Content-Encoding.

    Raises:
        ServiceError: 413 `request_too_large`, before anything is read where the client declares the size;
            415 `unsupported_encoding`, 400 `invalid_encoding`, 499 `client_gone`.
    """
    declared = request.headers.get("content-length", "")
    if declared.isdecimal() and int(declared) > limit:
        raise _too_large(int(declared), limit)
    chunks: list[bytes] = []
    size = 0
    try:
        async for chunk in body_pieces(request, request.stream()):
            size += len(chunk)
            if size > limit:
                raise _too_large(size, limit)
            chunks.append(chunk)
    except ClientDisconnect:
        raise client_gone() from None
    return b"".join(chunks)


async def refuse_file_name(pieces: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    """Pass on the pieces of a stream, unless all of it is the name of a file.

    Raises:
        ServiceError: while reading, 422 `damaged_stream`.
    """
    held, begun = b"", False
    async for piece in pieces:
        if not begun and is_file_name(piece):
            held = piece
        else:
            if held:
                yield held
                held = b""
            yield piece
        begun = True
    if held:
        name = held.decode(errors="replace").strip()
        raise ServiceError(
            422,
            "damaged_stream",
            f"The body is the name of a file, {name!a}, and not its content; {REMEDY}.",
        )


def client_gone() -> ServiceError:
    """End a request whose client closed the connection; only the metrics get to see it."""
    return ServiceError(499, "client_gone", "The client closed the connection before its answer.")


def _too_large(size: int, limit: int) -> ServiceError:
    return ServiceError(
        413,
        "request_too_large",
        f"The body has {size:,} bytes or more, the limit is {limit:,}. Send fewer images in one request, "
        "use /v1/batch, or raise INFOMAX_MAX_REQUEST_BYTES.",
        limit=limit,
        setting="INFOMAX_MAX_REQUEST_BYTES",
    )
