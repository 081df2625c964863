"""Content-Encoding of a body: gzip and deflate, inflated piece by piece (RFC 9110, section 8.4).

Nothing is inflated ahead of its reader, and what it reads counts towards the same limits as a plain body. A
small body that inflates to a large one is refused where a large one is. A stream may be of any size, but must
not inflate to a hundred times its own.
"""

import asyncio
import zlib
from collections.abc import AsyncIterator

from starlette.requests import Request

from service.errors import ServiceError

ACCEPTED = ("gzip", "deflate")
_ALIASES = {"x-gzip": "gzip"}
_PIECE_BYTES = 2**18
_SHOWN = 40
# A stream has no limit of its own in bytes, so a small body could keep a process busy for minutes.
_UNSUSPICIOUS_BYTES = 64 * 2**20
_MOST_TIMES = 100
# What zlib is told of the header that it finds: one of gzip, one of zlib, none.
_GZIP, _ZLIB, _RAW = zlib.MAX_WBITS | 16, zlib.MAX_WBITS, -zlib.MAX_WBITS


def body_pieces(request: Request, pieces: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    """Return a body's pieces as they were before they were encoded.

    Args:
        request: names the coding.
        pieces: as they arrive.

    Raises:
        ServiceError: 415 `unsupported_encoding`; while reading, 400 `invalid_encoding`.
    """
    coding = request.headers.get("content-encoding", "").strip().lower()
    coding = _ALIASES.get(coding, coding)
    if coding in ("", "identity"):
        return pieces
    if coding not in ACCEPTED:
        raise ServiceError(
            415,
            "unsupported_encoding",
            f"The Content-Encoding {coding[:_SHOWN]!a} is not read. "
            f"Send the body as it is, or as {' or '.join(ACCEPTED)}.",
        )
    return _inflated(pieces, coding)


async def _inflated(pieces: AsyncIterator[bytes], coding: str) -> AsyncIterator[bytes]:
    inflater = _Inflater(coding)
    received = inflated = 0
    async for piece in pieces:
        inflater.feed(piece)
        received += len(piece)
        while content := inflater.take():
            inflated += len(content)
            if inflated > max(_UNSUSPICIOUS_BYTES, _MOST_TIMES * received):
                raise inflater.invalid(
                    f"it inflates to more than {_MOST_TIMES} times its size; send it without the coding"
                )
            yield content
            # One piece of a body may inflate to a thousand times as much.
            await asyncio.sleep(0)
    inflater.finish()


class _Inflater:
    """Inflates one body; gzip files that were joined are read one after the other."""

    def __init__(self, coding: str) -> None:
        self._coding = coding
        self._waiting = b""
        self._more = False
        self._inflate = zlib.decompressobj(_GZIP) if coding == "gzip" else None

    def feed(self, piece: bytes) -> None:
        self._waiting += piece
        if self._inflate is None and len(self._waiting) > 1:
            self._inflate = zlib.decompressobj(_ZLIB if _has_zlib_header(self._waiting) else _RAW)

    def take(self) -> bytes:
        """Return the next bytes of the content; none where more has to be fed."""
        while self._inflate is not None and (self._waiting or self._more):
            if self._inflate.eof:
                if self._coding != "gzip":
                    raise self.invalid("it goes on behind its end")
                self._inflate = zlib.decompressobj(_GZIP)
            try:
                content = self._inflate.decompress(self._waiting, _PIECE_BYTES)
            except zlib.error as error:
                raise self.invalid(str(error)) from error
            self._waiting = self._inflate.unused_data or self._inflate.unconsumed_tail
            # A full piece may leave more of it in zlib's own window.
            self._more = len(content) == _PIECE_BYTES and not self._inflate.eof
            if content:
                return content
        return b""

    def finish(self) -> None:
        if self._inflate is None or not self._inflate.eof:
            raise self.invalid("it stops early; send all of it")

    def invalid(self, reason: str) -> ServiceError:
        """Make the refusal of the body; `reason` is a clause."""
        return ServiceError(
            400,
            "invalid_encoding",
            f"The body is not the {self._coding} that its Content-Encoding says: {reason}.",
        )


def _has_zlib_header(start: bytes) -> bool:
    """Tell whether deflate comes within zlib's format as RFC 9110 has it; some clients send it bare."""
    return start[0] & 0x0F == 8 and int.from_bytes(start[:2], "big") % 31 == 0
