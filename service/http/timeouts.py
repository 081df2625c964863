"""Timeouts of a connection: for a request's head, for a body that no route reads, for an answer.

`service.http.body_timeout` bounds a body that is read, since its request can still be answered.
"""

import asyncio
import os
import socket
from contextlib import suppress
from struct import pack
from typing import Any

from starlette.types import Scope

from service.errors import ServiceError
from service.http.body_timeout import note_arrival, too_slow
from service.http.request_context import find_context
from service.http.size_limits import SizeLimitedConnection

# What counts as taking more of an answer.
_STEP_BYTES = 1024


class TimedProtocol(SizeLimitedConnection):
    """HTTP/1.1 with an end to every wait.

    A wait begins at the moment that a field `_..._since` holds, and all are allowed the same time. So one
    timer is enough, and nothing is done for each request: when it fires it looks at all waits, and a wait
    that began meanwhile has at least as long to go.
    """

    def __init__(self, seconds: float, **parts: Any) -> None:
        """`seconds` is how long a client may take for one step."""
        super().__init__(**parts)
        self._seconds = seconds
        self._timer: asyncio.TimerHandle | None = None
        # The next request's head: expected, and begun.
        self._head_expected = True
        self._head_begun = False
        self._head_since: float | None = None
        # A body that goes on behind its answer, or anything behind a refusal.
        self._leftover_since: float | None = None
        # An answer that the client does not take.
        self._unsent_since: float | None = None
        self._unsent_bytes = 0

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._head_since = self._now()

    def connection_lost(self, exc: Exception | None) -> None:
        if self._timer is not None:
            self._timer.cancel()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        if self._head_expected and not self._refused:
            # Empty lines, which a parser passes over, begin a head as well.
            self._begin_head()
        super().data_received(data)

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self._begin_head()

    def on_headers_complete(self) -> None:
        super().on_headers_complete()
        self._head_expected, self._head_begun, self._head_since = False, False, None

    def on_message_complete(self) -> None:
        super().on_message_complete()
        note_arrival(self.read_scope)
        self._leftover_since = None
        self._head_expected = True

    def answer_ends(self) -> None:
        if self.transport.is_closing():
            # Closed to the other side only when everything is sent.
            self._expect_taking()
        elif self._body_open and self.answered:
            self._leftover_since = self._now()

    def idle_ends(self) -> None:
        self._expect_taking()

    def client_left(self, scope: Scope) -> None:
        if (context := find_context(scope)) is not None:
            context.disconnect()

    def pause_writing(self) -> None:
        super().pause_writing()
        self._expect_taking()

    def resume_writing(self) -> None:
        super().resume_writing()
        if not self.transport.is_closing():
            self._unsent_since = None

    def refuse(self, error: ServiceError) -> None:
        super().refuse(error)
        self._head_since = None
        self._leftover_since = self._now()

    def _begin_head(self) -> None:
        self._head_begun = True
        if self._head_since is None:
            self._head_since = self._now()

    def _expect_taking(self) -> None:
        self._unsent_since = self._now()
        self._unsent_bytes = self.transport.get_write_buffer_size()

    def _client_sends(self) -> bool:
        """Whether the client sends on, and its answers are kept for it meanwhile."""
        scope = self.answered_scope
        context = None if scope is None else find_context(scope)
        return context is not None and context.client_sends is not None and context.client_sends()

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
            if self._unsent_bytes - left < _STEP_BYTES and not self._client_sends():
                # A client that does not read gets no message, and the kernel keeps none for it.
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
            if self._head_begun:
                self.refuse(too_slow("head", self._seconds))
            else:
                # No request has begun.
                self.transport.close()
        waits = [since for since in (self._head_since, self._leftover_since, self._unsent_since) if since]
        if waits:
            wait = max(0.0, min(waits) + self._seconds - self.loop.time())
            self._timer = self.loop.call_later(wait, self._look)

    def _break_off(self) -> None:
        """End the connection by a reset, which does not wait behind what the client does not take."""
        # The application may be about to write.
        self.abandon()
        # uvloop lends the socket without its options; a second descriptor has them. A transport that is
        # about to close has given the socket up.
        with (
            suppress(OSError),
            socket.socket(fileno=os.dup(self.transport.get_extra_info("socket").fileno())) as twin,
        ):
            twin.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, pack("ii", 1, 0))
        self.transport.abort()
