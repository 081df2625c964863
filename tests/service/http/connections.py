"""A connection of the service to an application of a test, over a real socket."""

import select
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Event, Thread
from typing import Any

import uvicorn
import uvloop

from service.http.uvicorn_interface import Connection

PATIENCE = 60


class _Server(uvicorn.Server):
    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.up = Event()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self.up.set()


@contextmanager
def served(app: Any, http: type[Connection]) -> Iterator[socket.socket]:
    """A connection to the application, which fails rather than waits for ever."""
    config = uvicorn.Config(app, http=http, lifespan="off", log_config=None, ws="none")
    server = _Server(config)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = Thread(target=lambda: uvloop.run(server.serve([listener])), daemon=True)
        thread.start()
        assert server.up.wait(PATIENCE)
        try:
            with socket.create_connection(listener.getsockname(), timeout=PATIENCE) as connection:
                yield connection
        finally:
            server.should_exit = True
            thread.join(PATIENCE)
        assert not thread.is_alive()


def is_reset(connection: socket.socket) -> bool:
    """Wait for the connection to be broken off, which poll tells whatever there is to read before."""
    poller = select.poll()
    poller.register(connection, 0)
    return bool(poller.poll(1000 * PATIENCE))


def everything(connection: socket.socket) -> bytes:
    """What the server sends up to the connection's end, in order or not."""
    parts = []
    try:
        while part := connection.recv(65536):
            parts.append(part)
    except ConnectionError:
        pass
    return b"".join(parts)
