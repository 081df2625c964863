"""Server on connections that another process accepts, with an end that answers what it has begun."""

import asyncio
import socket
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Any

import uvloop
from fastapi import FastAPI

from service.http.timeouts import TimedProtocol
from service.http.uvicorn_interface import Server
from service.models.worker_agent import WorkerAgent
from service.system.channel import Report, WorkerEnd

# Longer than load balancers keep an idle connection (60 s is common): else they send a request down one
# that is being closed.
_KEEP_ALIVE_SECONDS = 75
# After the last answer, idle clients get this long to send what is already on its way, and to be told to
# come back elsewhere, before their connections are closed.
_LINGER_SECONDS = 1.0
# For what is refused at the end of the drain: the refusals have to reach their clients.
_REFUSAL_SECONDS = 2
_TAKEN_AT_ONCE = 16


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

    def _take(self) -> None:
        for _ in range(_TAKEN_AT_ONCE):
            connection = self._channel.take()
            if connection is None:
                break
            task = asyncio.create_task(self._adopt(connection))
            self._adopting.add(task)
            task.add_done_callback(self._adopting.discard)
        while self._channel.messages:
            self._agent.handle(self._channel.messages.popleft())
        if self._channel.told_to_stop:
            self.ask_to_end()

    async def _adopt(self, connection: socket.socket) -> None:
        connection.setblocking(False)
        try:
            await asyncio.get_running_loop().connect_accepted_socket(self._protocol, connection)
        except OSError:
            # The client went away before it was looked at.
            connection.close()
            self._on_lost()

    def _protocol(self) -> asyncio.Protocol:
        return _Connection(self._on_lost, seconds=self._client_seconds, **self.connection_parts)

    def _on_lost(self) -> None:
        self._ended += 1
        self._channel.tell(Report.ENDED, str(self._ended))
        if not self.has_connections:
            self._idle.set()


class _Connection(TimedProtocol):
    """One connection that tells when it ends."""

    def __init__(self, on_lost: Callable[[], None], **parts: Any) -> None:
        super().__init__(**parts)
        self._on_lost = on_lost

    def connection_lost(self, exc: Exception | None) -> None:
        super().connection_lost(exc)
        self._on_lost()
