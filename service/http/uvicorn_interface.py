"""uvicorn's private interfaces: what relies on them stands in this file alone.

uvicorn may change them in any release, so its version is pinned exactly. What is relied on is held by
tests/service/http/test_uvicorn_interface.py.
"""

import asyncio
import socket
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from typing import Any, cast

import uvicorn
from starlette.responses import Response
from starlette.types import Scope
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol, RequestResponseCycle

Fields = list[tuple[bytes, bytes]]


class Connection(HttpToolsProtocol):
    """HTTP/1.1 connection.

    Subclasses override the callbacks of asyncio (`data_received`, `pause_writing` …) and of httptools
    (`on_headers_complete`, `on_body` …), and the hooks below.
    """

    def __init__(self, **parts: Any) -> None:
        """Take the parts that `Server.connection_parts` gives."""
        super().__init__(**parts)
        self._answering: RequestResponseCycle | None = None

    # Hooks.

    def malformed(self, reason: str) -> None:
        """End a connection whose bytes are not HTTP, or whose callback has raised an exception."""

    def answer_ends(self) -> None:
        """Go on after an answer."""

    def idle_ends(self) -> None:
        """Go on after the connection was closed for being idle."""

    def client_left(self, scope: Scope) -> None:
        """Go on after the client of an unanswered request, whose scope this is, was found to be gone."""

    # What subclasses ask and tell.

    @property
    def request_line_and_fields(self) -> tuple[bytes, Fields]:
        """Path and fields of the head that is being read; of trailers after `begin_trailers`."""
        return self.url, self.headers

    @property
    def read_scope(self) -> Scope:
        """ASGI scope of the request that is being read, or was read last."""
        return cast("Scope", self.scope)

    @property
    def requests_ahead(self) -> int:
        """Number of whole requests that wait for the answers to earlier ones."""
        return len(self.pipeline)

    @property
    def answered(self) -> bool:
        """Whether the latest request has its whole answer; True before the first request."""
        return self.cycle is None or self.cycle.response_complete

    @property
    def replaceable(self) -> bool:
        """Whether the latest request may get another answer than the application's."""
        return self.cycle is self._answering and self.cycle is not None and not self.cycle.response_started

    @property
    def answered_scope(self) -> Scope | None:
        """ASGI scope of the request that the application answers, or answered last."""
        return None if self._answering is None else cast("Scope", self._answering.scope)

    def begin_trailers(self) -> None:
        """Keep the fields that follow apart from those of the head, which the application reads."""
        self.headers = []

    def abandon(self) -> None:
        """Tell the application that the client of all unanswered requests is gone."""
        for cycle in (self.cycle, self._answering):
            if cycle is not None and not cycle.response_complete:
                cycle.disconnected = True
                cycle.message_event.set()
                self.client_left(cast("Scope", cycle.scope))

    def write(self, answer: Response) -> None:
        """Write an answer that is not the application's."""
        self.transport.write(as_bytes(answer))

    # uvicorn's own.

    def connection_lost(self, exc: Exception | None) -> None:
        # uvicorn tells the latest request alone, which others may be ahead of.
        self.abandon()
        super().connection_lost(exc)

    def send_400_response(self, msg: str) -> None:
        self.malformed(msg)

    def on_response_complete(self) -> None:
        super().on_response_complete()
        self.answer_ends()

    def timeout_keep_alive_handler(self) -> None:
        super().timeout_keep_alive_handler()
        self.idle_ends()

    def _unsupported_upgrade_warning(self) -> None:
        """Say nothing: the offer of another protocol may be passed over (RFC 9110, section 7.8)."""

    def _start_asgi_task(self, cycle: RequestResponseCycle, app: Any) -> None:
        self._answering = cycle
        super()._start_asgi_task(cycle, app)


def as_bytes(answer: Response) -> bytes:
    """Write an answer down as HTTP/1.1."""
    fields = [b"%s: %s\r\n" % field for field in answer.raw_headers]
    return b"".join([STATUS_LINE[answer.status_code], *fields, b"\r\n", bytes(answer.body)])


class Server(uvicorn.Server):
    """uvicorn without sockets and signals of its own."""

    def __init__(
        self,
        app: Callable[..., Awaitable[None]],
        http: type[Connection],
        *,
        keep_alive_seconds: int,
        cancel_seconds: int,
    ) -> None:
        """Prepare to serve.

        Args:
            app: ASGI application; its lifespan is the caller's business.
            http: kind of the connections.
            keep_alive_seconds: how long a connection may be idle.
            cancel_seconds: how long requests may go on when the server shuts down.
        """
        config = uvicorn.Config(
            app,
            http=http,
            lifespan="off",
            ws="none",
            log_config=None,
            access_log=False,
            server_header=False,
            timeout_keep_alive=keep_alive_seconds,
            timeout_graceful_shutdown=cancel_seconds,
        )
        super().__init__(config)

    # Hooks.

    def begin(self) -> None:
        """Begin to take connections."""

    async def end(self) -> None:
        """End what was begun, before the connections are closed."""

    # What subclasses ask and tell.

    @property
    def connection_parts(self) -> dict[str, Any]:
        """Arguments of a connection."""
        return {
            "config": self.config,
            "server_state": self.server_state,
            "app_state": self.lifespan.state,
        }

    @property
    def has_connections(self) -> bool:
        return bool(self.server_state.connections)

    def ask_to_end(self) -> None:
        """Let `serve` end."""
        self.should_exit = True

    # uvicorn's own.

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:  # noqa: ARG002
        self.servers: list[asyncio.Server] = []
        self.started = True
        self.begin()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        await self.end()
        await super().shutdown(sockets)
