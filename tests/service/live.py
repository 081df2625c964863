"""The application behind a real socket, in a thread: where it matters what is sent before what is read."""

import asyncio
import socket
from collections.abc import Coroutine, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from threading import Event, Thread
from typing import TypeVar

import uvicorn

from service.app import create_app
from service.inference.model import Model
from service.runtime import Runtime
from tests.service.faults import settings

T = TypeVar("T")

_PATIENCE = 60


@dataclass(frozen=True)
class Live:
    """A served application.

    Attributes:
        address: where it listens.
        runtime: what it serves with; it belongs to the server's event loop.
    """

    address: tuple[str, int]
    runtime: Runtime
    _loop: asyncio.AbstractEventLoop

    def run(self, work: Coroutine[object, object, T]) -> T:
        """Run something on the server's event loop and wait for it."""
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(_PATIENCE)

    def connect(self) -> socket.socket:
        """A client's connection, which fails rather than waits for ever."""
        return socket.create_connection(self.address, timeout=_PATIENCE)


class _Server(uvicorn.Server):
    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.up = Event()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self.loop = asyncio.get_running_loop()
        self.up.set()


@contextmanager
def live(models: Path, index_url: str, model: Model | None = None, **changes: object) -> Iterator[Live]:
    """Serve the tiny model on a free port."""
    runtime = Runtime.load(settings(models, **changes), index_url, None if model is None else {"tiny": model})
    config = uvicorn.Config(create_app(runtime), log_config=None, ws="none", lifespan="on")
    server = _Server(config)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = Thread(target=server.run, args=([listener],), daemon=True)
        thread.start()
        assert server.up.wait(_PATIENCE), "the server did not start"
        try:
            yield Live(listener.getsockname(), runtime, server.loop)
        finally:
            server.should_exit = True
            thread.join(_PATIENCE)
        assert not thread.is_alive(), "the server did not stop"
