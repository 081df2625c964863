"""Connections whose clients ask for more than they take."""

import select
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Event, Thread
from typing import Any

import pytest
import uvicorn
import uvloop

from service.http.timeouts import TimedProtocol

IMPATIENT = 0.5
_PATIENCE = 60
ASK = b"GET / HTTP/1.1\r\nHost: infomax\r\n\r\n"


class Impatient(TimedProtocol):
    """With little patience."""

    def __init__(self, **parts: Any) -> None:
        super().__init__(IMPATIENT, **parts)


class Answering:
    """An application that answers with so many bytes.

    Attributes:
        asked: requests that have come to it.
        failed: what its answers raised.
    """

    def __init__(self, size: int) -> None:
        self._size = size
        self.asked = 0
        self.failed: list[BaseException] = []

    async def __call__(self, _scope: Any, _receive: Any, send: Any) -> None:
        self.asked += 1
        try:
            headers = [(b"content-length", str(self._size).encode())]
            await send({"type": "http.response.start", "status": 200, "headers": headers})
            await send({"type": "http.response.body", "body": bytes(self._size)})
        except Exception as error:
            self.failed.append(error)
            raise


class _Server(uvicorn.Server):
    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.up = Event()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self.up.set()


@contextmanager
def served(app: Answering) -> Iterator[socket.socket]:
    """A connection to the application, which fails rather than waits for ever."""
    config = uvicorn.Config(app, http=Impatient, lifespan="off", log_config=None, ws="none")
    server = _Server(config)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = Thread(target=lambda: uvloop.run(server.serve([listener])), daemon=True)
        thread.start()
        assert server.up.wait(_PATIENCE)
        try:
            with socket.create_connection(listener.getsockname(), timeout=_PATIENCE) as connection:
                yield connection
        finally:
            server.should_exit = True
            thread.join(_PATIENCE)
        assert not thread.is_alive()


def is_reset(connection: socket.socket) -> bool:
    """Wait for the connection to be broken off, which poll tells whatever there is to read before."""
    poller = select.poll()
    poller.register(connection, 0)
    return bool(poller.poll(1000 * _PATIENCE))


def test_a_client_that_takes_nothing_of_a_long_answer_is_left() -> None:
    app = Answering(50_000_000)
    with served(app) as connection:
        connection.sendall(ASK)
        assert is_reset(connection)
    assert (app.asked, app.failed) == (1, [])


def test_a_client_that_takes_its_time_gets_the_whole_answer() -> None:
    size = 50_000_000
    with served(Answering(size)) as connection:
        connection.sendall(ASK)
        taken = 0
        while taken < size:
            piece = connection.recv(2**20)
            assert piece
            taken += len(piece)


def test_some_requests_ahead_of_their_answers_are_answered_in_order() -> None:
    app = Answering(1)
    with served(app) as connection:
        connection.sendall(ASK * 50)
        taken = b""
        while taken.count(b"HTTP/1.1 200 ") < 50 or not taken.endswith(b"\0"):
            taken += connection.recv(65536)
    assert app.asked == 50


@pytest.mark.parametrize("size", [1, 50_000_000])
def test_a_flood_of_requests_ahead_of_their_answers_is_broken_off(size: int) -> None:
    app = Answering(size)
    with served(app) as connection:
        try:
            for _ in range(10_000):
                connection.sendall(ASK * 100)
        except ConnectionError:
            pass
        else:
            assert is_reset(connection)
    # What was under way ends in peace: nobody is there to answer, which is no failure.
    assert app.failed == []
    assert app.asked <= 1000
