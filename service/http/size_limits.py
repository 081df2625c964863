"""Connections that keep a bounded part of what a client sends, before anything else is known of it."""

import logging
from typing import Any
from uuid import uuid4

from service.errors import ServiceError, problem
from service.http.uvicorn_interface import Connection, Fields

logger = logging.getLogger(__name__)

# nginx and Apache take 32 KiB and less.
_MOST_HEAD_BYTES = 64 * 2**10
# Requests that a client has sent ahead of the answers to earlier ones. Each is kept, and uvicorn reads on
# whenever one is answered, so that a flood of small ones would be memory without end.
_MOST_AHEAD = 64
# What is read and thrown away behind a refusal: to close a connection with bytes unread is to reset it, and
# its client would not get the refusal.
_MOST_DISCARDED_BYTES = 2**20
_CODING = b"transfer-encoding"


class SizeLimitedConnection(Connection):
    """HTTP/1.1 with an end to every head, and to all else that is not a body."""

    def __init__(self, **parts: Any) -> None:
        super().__init__(**parts)
        # Bytes since the last head, piece of a body or end of a request: head, trailers, or lines of chunks.
        self._bare_bytes = 0
        self._steps = 0
        self._head_bytes = 0
        self._body_open = False
        self._fault: ServiceError | None = None
        self._refused = False
        self._discarded_bytes = 0

    def data_received(self, data: bytes) -> None:
        if self._refused:
            self._discarded_bytes += len(data)
            if self._discarded_bytes > _MOST_DISCARDED_BYTES:
                self.transport.abort()
            return
        steps = self._steps
        super().data_received(data)
        self._bare_bytes = self._bare_bytes + len(data) if self._steps == steps else 0
        if self._bare_bytes > _MOST_HEAD_BYTES and not self._refused:
            self.refuse(_head_too_large())

    def on_headers_complete(self) -> None:
        self._steps += 1
        url, fields = self.request_line_and_fields
        self._head_bytes = len(url) + _size(fields)
        if self._head_bytes > _MOST_HEAD_BYTES:
            self._stop(_head_too_large())
        codings = [value for name, value in fields if name == _CODING]
        if codings and (len(codings) > 1 or codings[0].strip().lower() != b"chunked"):
            self._stop(_unknown_coding(b", ".join(codings)))
        if self.requests_ahead >= _MOST_AHEAD:
            self._stop(ServiceError(400, "malformed_http", "Too many requests are ahead of their answers."))
        super().on_headers_complete()
        self.begin_trailers()
        self._body_open = True

    def on_body(self, body: bytes) -> None:
        self._steps += 1
        super().on_body(body)

    def on_message_complete(self) -> None:
        self._steps += 1
        _, trailers = self.request_line_and_fields
        if trailers and self._head_bytes + _size(trailers) > _MOST_HEAD_BYTES:
            self._stop(_head_too_large())
        super().on_message_complete()
        self._body_open = False

    def malformed(self, reason: str) -> None:
        self.refuse(
            self._fault
            or ServiceError(
                400, "malformed_http", f"{reason} Speak HTTP/1.1 here, without TLS, and keep to RFC 9112."
            )
        )

    def refuse(self, error: ServiceError) -> None:
        """Answer what never became a request, and end the connection."""
        self._refused = True
        if self.transport.is_closing():
            return
        if not (self.replaceable if self._body_open else self.answered and not self.requests_ahead):
            # An answer out of its turn would be taken for another request's, or be part of another answer.
            self.abandon()
            self.transport.abort()
            return
        self.abandon()
        request_id = uuid4().hex
        client = self.client[0] if self.client else None
        fields = {"status": error.status, "client": client, "request_id": request_id}
        logger.info("no request: %s", error, extra=fields)
        answer = problem(error, request_id)
        answer.headers["Connection"] = "close"
        self.write(answer)
        self.transport.write_eof()

    def shutdown(self) -> None:
        if self._refused:
            self.transport.close()
        else:
            super().shutdown()

    def _stop(self, fault: ServiceError) -> None:
        """Stop the parser, which hands it to `malformed`."""
        self._fault = fault
        raise ValueError(fault.code)


def _size(fields: Fields) -> int:
    """Bytes of fields as they are sent, with colon, space and line's end."""
    return sum(len(name) + len(value) + 4 for name, value in fields)


def _head_too_large() -> ServiceError:
    return ServiceError(
        431,
        "head_too_large",
        f"The request's head, or the trailers of its body, have over {_MOST_HEAD_BYTES:,} bytes. Send in the "
        "body what is so long.",
        limit=_MOST_HEAD_BYTES,
    )


def _unknown_coding(codings: bytes) -> ServiceError:
    shown = codings[:100].decode("latin-1")
    return ServiceError(
        415,
        "unsupported_transfer_encoding",
        f"Transfer-Encoding: {shown!a} is not supported. Send the body as chunked alone, or with its "
        "Content-Length.",
    )
