"""Server on connections that another process accepts, with an end that answers what it has begun."""

import asyncio
import logging
import socket
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Any
from uuid import uuid4

import uvloop
from fastapi import FastAPI

from service.errors import ServiceError, problem
from service.http.timeouts import TimedProtocol
from service.http.uvicorn_interface import Server, as_bytes
from service.models.worker_agent import WorkerAgent
from service.system.channel import Report, WorkerEnd
from service.system.descriptors import highest_for_clients

# Longer than load balancers keep an idle connection (60 s is common): else they send a request down one
# that is being closed.
_KEEP_ALIVE_SECONDS = 75
# After the last answer, idle clients get this long to send what is already on its way, and to be told to
# come back elsewhere, before their connections are closed.
_LINGER_SECONDS = 1.0
# For what is refused at the end of the drain: the refusals have to reach their clients.
_REFUSAL_SECONDS = 2
_TAKEN_AT_ONCE = 16
_RETRY_SECONDS = 0.1
# Between two log lines about descriptors.
_QUIET_SECONDS = 10.0
_UNREAD_BYTES = 65536
_RETRY_AFTER_SECONDS = 1.0


logger = logging.getLogger(__name__)


class ConnectionServer(Server):
    """Serves what the parent hands over, and reports what has ended."""

    def __init__(
        self,
        app: FastAPI,
        channel: WorkerEnd,
        agent: WorkerAgent,
        drain: Callable[[], Awaitable[None]],
        client_seconds: float,
    ) -> None:
        """Serve `app` on the connections that come down the channel.

        Args:
            app: the application; `work` runs its lifespan itself, so that a failure keeps its type.
            channel: the worker's end.
            agent: handles the messages about model versions.
            drain: refuses new requests and waits for those in flight.
            client_seconds: the setting of that name.
        """
        super().__init__(
            app, TimedProtocol, keep_alive_seconds=_KEEP_ALIVE_SECONDS, cancel_seconds=_REFUSAL_SECONDS
        )
        self._drain = drain
        self._client_seconds = client_seconds
        self._channel = channel
        self._agent = agent
        self._ended = 0
        self._untold = False
        self._over = False
        self._most_descriptor = highest_for_clients()
        self._quiet_until = 0.0
        self._idle = asyncio.Event()
        self._adopting: set[asyncio.Task[None]] = set()

    @staticmethod
    def new_event_loop() -> asyncio.AbstractEventLoop:
        return uvloop.new_event_loop()

    def begin(self) -> None:
        asyncio.get_running_loop().add_reader(self._channel.fileno(), self._take)
        self._channel.tell(Report.SERVING)

    async def end(self) -> None:
        """Answer what has begun, refuse what comes, and let the connections end."""
        await self._drain()
        if self.has_connections:
            self._idle.clear()
            with suppress(TimeoutError):
                await asyncio.wait_for(self._idle.wait(), _LINGER_SECONDS)
        asyncio.get_running_loop().remove_reader(self._channel.fileno())
        self._channel.close()
        self._over = True

    def _take(self) -> None:
        for _ in range(_TAKEN_AT_ONCE):
            connection = self._channel.take()
            if connection is None:
                break
            if connection.fileno() > self._most_descriptor:
                self._turn_away(connection)
                continue
            task = asyncio.create_task(self._adopt(connection))
            self._adopting.add(task)
            task.add_done_callback(self._adopting.discard)
        self._count_losses()
        while self._channel.messages:
            self._agent.handle(self._channel.messages.popleft())
        if self._channel.told_to_stop:
            self.ask_to_end()

    async def _adopt(self, connection: socket.socket) -> None:
        connection.setblocking(False)
        try:
            await asyncio.get_running_loop().connect_accepted_socket(self._protocol, connection)
        except OSError as error:
            # The client is gone already, or memory or descriptors are.
            logger.warning("a connection cannot be served: %s", error)
            connection.close()
            self._on_lost()

    def _turn_away(self, connection: socket.socket) -> None:
        """Refuse a connection while there are descriptors left to do so with."""
        error = _too_many_connections()
        self._log_exhaustion("a connection is refused")
        answer = problem(error, uuid4().hex)
        answer.headers["Connection"] = "close"
        connection.setblocking(False)
        with connection, suppress(OSError):
            connection.send(as_bytes(answer))
            connection.shutdown(socket.SHUT_WR)
            # To close a connection with bytes unread is to reset it.
            connection.recv(_UNREAD_BYTES)
        self._on_lost()

    def _count_losses(self) -> None:
        """Report connections that came without a descriptor, and end where a message did."""
        while self._channel.lost_connections:
            self._channel.lost_connections -= 1
            self._log_exhaustion("a connection is lost")
            self._on_lost()
        if self._channel.lost_message:
            # Its content is unknown. The next worker starts with the model versions of that moment.
            self._log_exhaustion("a message is lost, and this worker drains and ends")
            self.ask_to_end()

    def _log_exhaustion(self, what: str) -> None:
        now = asyncio.get_running_loop().time()
        if now >= self._quiet_until:
            self._quiet_until = now + _QUIET_SECONDS
            logger.error("%s: nearly all file descriptors are in use; raise the limit (ulimit -n)", what)

    def _protocol(self) -> asyncio.Protocol:
        return _CountedConnection(self._on_lost, seconds=self._client_seconds, **self.connection_parts)

    def _on_lost(self) -> None:
        self._ended += 1
        if not self._untold:
            self._tell_ended()
        if not self.has_connections:
            self._idle.set()

    def _tell_ended(self) -> None:
        """Report the connections that have ended; again later where the channel is full."""
        if self._over:
            return
        self._untold = not self._channel.tell(Report.ENDED, str(self._ended))
        if self._untold:
            asyncio.get_running_loop().call_later(_RETRY_SECONDS, self._tell_ended)


class _CountedConnection(TimedProtocol):
    """One connection that tells when it ends."""

    def __init__(self, on_lost: Callable[[], None], **parts: Any) -> None:
        super().__init__(**parts)
        self._on_lost = on_lost

    def connection_lost(self, exc: Exception | None) -> None:
        super().connection_lost(exc)
        self._on_lost()


def _too_many_connections() -> ServiceError:
    return ServiceError(
        503,
        "too_many_connections",
        "The service holds as many connections as it can. Send the request again later, or over a connection "
        "that is open already.",
        retry_after=_RETRY_AFTER_SECONDS,
    )
