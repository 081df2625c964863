"""Connections whose clients have to go on: with a request's head, with a body nobody reads, with an answer.

(A body that is read is the business of `service.http.body_timeout`: its request can still be answered.)
"""

import asyncio
import logging
import os
import socket
from contextlib import suppress
from struct import pack
from typing import Any
from uuid import uuid4

from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol, RequestResponseCycle

from service.errors import ServiceError, problem
from service.http.body_timeout import too_slow

logger = logging.getLogger(__name__)

# nginx and Apache take 32 KiB and less.
_MOST_HEAD_BYTES = 64 * 2**10
# Requests that a client has sent ahead of the answers to earlier ones. Each is kept, and uvicorn reads on
# whenever one is answered, so that a flood of small ones would be memory without end.
_MOST_AHEAD = 64
# What counts as taking more of an answer.
_STEP_BYTES = 1024


class TimedProtocol(HttpToolsProtocol):
    """HTTP/1.1 with an end to every wait.

    A wait begins at the moment that a field `_..._since` holds, and all are allowed the same time. So one
    timer is enough, and nothing is done for each request: it looks what waits when it fires, and whoever
    begins to wait meanwhile has at least as long to go.
    """

    def __init__(self, seconds: float, **parts: Any) -> None:
        """`seconds` is how long a client may take for one step."""
        super().__init__(**parts)
        self._seconds = seconds
        self._timer: asyncio.TimerHandle | None = None
        # The next request's head: expected, begun, and how much of it there is.
        self._head_expected = True
        self._head_since: float | None = None
        self._head_bytes = 0
        self._heads = 0
        # A body that goes on behind its answer.
        self._body_open = False
        self._leftover_since: float | None = None
        self._answering: RequestResponseCycle | None = None
        self._flooded = False
        # An answer that the client does not take.
        self._unsent_since: float | None = None
        self._unsent_bytes = 0

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._head_since = self._now()

    def connection_lost(self, exc: Exception | None) -> None:
        if self._timer is not None:
            self._timer.cancel()
        if self._answering is not None and not self._answering.response_complete:
            # uvicorn tells the latest request of the connection, which others may be ahead of.
            self._answering.disconnected = True
            self._answering.message_event.set()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        expected, heads = self._head_expected, self._heads
        super().data_received(data)
        if not self._head_expected or self._heads > heads:
            # A body is to come; or a whole request came at once, and what is behind it has been noted.
            return
        if expected and self._head_since is None:
            # Empty lines, which a parser passes over, begin a head as well.
            self._head_since = self._now()
        if self._head_since is not None:
            self._head_bytes += len(data)
            if self._head_bytes > _MOST_HEAD_BYTES:
                self._refuse(_head_too_large())

    def on_message_begin(self) -> None:
        super().on_message_begin()
        if self._head_since is None:
            self._head_since = self._now()

    def on_headers_complete(self) -> None:
        self._head_expected, self._head_since, self._head_bytes = False, None, 0
        self._heads += 1
        self._body_open = True
        if len(self.pipeline) >= _MOST_AHEAD:
            self._flooded = True
            # The parser stops, and hands it to `send_400_response`.
            raise ValueError("too many requests ahead of their answers")
        super().on_headers_complete()

    def on_message_complete(self) -> None:
        super().on_message_complete()
        self._body_open, self._leftover_since = False, None
        self._head_expected = True

    def on_response_complete(self) -> None:
        super().on_response_complete()
        if self.transport.is_closing():
            # Closed to the other side only when everything is sent.
            self._expect_taking()
        elif self._body_open and self.cycle.response_complete:
            self._leftover_since = self._now()

    def pause_writing(self) -> None:
        super().pause_writing()
        self._expect_taking()

    def resume_writing(self) -> None:
        super().resume_writing()
        if not self.transport.is_closing():
            self._unsent_since = None

    def timeout_keep_alive_handler(self) -> None:
        super().timeout_keep_alive_handler()
        self._expect_taking()

    def send_400_response(self, msg: str) -> None:
        if self._flooded:
            # An answer out of its turn would be taken for another request's.
            self.transport.abort()
            return
        self._refuse(
            ServiceError(
                400, "malformed_http", f"{msg} Speak HTTP/1.1 here, without TLS, and keep to RFC 9112."
            )
        )

    def _start_asgi_task(self, cycle: RequestResponseCycle, app: Any) -> None:
        self._answering = cycle
        super()._start_asgi_task(cycle, app)

    def _expect_taking(self) -> None:
        self._unsent_since = self._now()
        self._unsent_bytes = self.transport.get_write_buffer_size()

    def _now(self) -> float:
        """The beginning of a wait."""
        if self._timer is None:
            self._timer = self.loop.call_later(self._seconds, self._look)
        return self.loop.time()

    def _look(self) -> None:
        """End what has waited too long; come back for what has not."""
        self._timer = None
        due = self.loop.time() - self._seconds
        if self._unsent_since is not None and self._unsent_since <= due:
            left = self.transport.get_write_buffer_size()
            if self._unsent_bytes - left < _STEP_BYTES:
                # Whoever does not read is told nothing, and the kernel keeps nothing for it.
                self._break_off()
                return
            self._unsent_since, self._unsent_bytes = self.loop.time(), left
        if self._leftover_since is not None and self._leftover_since <= due:
            # It has been answered.
            self.transport.abort()
            return
        if self.transport.is_closing():
            self._head_since = None
        elif self._head_since is not None and self._head_since <= due:
            self._head_since = None
            if self._head_bytes:
                self._refuse(too_slow("head", self._seconds))
            else:
                # Nobody has asked for anything.
                self.transport.close()
        waits = [since for since in (self._head_since, self._leftover_since, self._unsent_since) if since]
        if waits:
            wait = max(0.0, min(waits) + self._seconds - self.loop.time())
            self._timer = self.loop.call_later(wait, self._look)

    def _break_off(self) -> None:
        """End the connection by a reset, which does not wait behind what the client does not take."""
        if self.cycle is not None:
            # It may be about to write.
            self.cycle.disconnected = True
        # uvloop lends the socket without its options; a second descriptor has them. A transport that is
        # about to close has given the socket up.
        with (
            suppress(OSError),
            socket.socket(fileno=os.dup(self.transport.get_extra_info("socket").fileno())) as twin,
        ):
            twin.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, pack("ii", 1, 0))
        self.transport.abort()

    def _refuse(self, error: ServiceError) -> None:
        """Answer what never became a request, and close the connection."""
        request_id = uuid4().hex
        client = self.client[0] if self.client else None
        fields = {"status": error.status, "client": client, "request_id": request_id}
        logger.info("no request: %s", error, extra=fields)
        answer = problem(error, request_id)
        answer.headers["Connection"] = "close"
        head = [STATUS_LINE[error.status], *(b"%s: %s\r\n" % header for header in answer.raw_headers)]
        self.transport.write(b"".join([*head, b"\r\n", bytes(answer.body)]))
        self.transport.close()
        self._expect_taking()


def _head_too_large() -> ServiceError:
    return ServiceError(
        431,
        "head_too_large",
        f"The request's head has over {_MOST_HEAD_BYTES:,} bytes; send what is so long in the body.",
        limit=_MOST_HEAD_BYTES,
    )
