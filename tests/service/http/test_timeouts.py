"""Connections whose clients ask for more than they take."""

from typing import Any

import pytest

from service.http.timeouts import TimedProtocol
from tests.service.http.connections import is_reset, served

IMPATIENT = 0.5
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


def test_a_client_that_takes_nothing_of_a_long_answer_is_left() -> None:
    app = Answering(50_000_000)
    with served(app, Impatient) as connection:
        connection.sendall(ASK)
        assert is_reset(connection)
    assert (app.asked, app.failed) == (1, [])


def test_a_client_that_takes_its_time_gets_the_whole_answer() -> None:
    size = 50_000_000
    with served(Answering(size), Impatient) as connection:
        connection.sendall(ASK)
        taken = 0
        while taken < size:
            piece = connection.recv(2**20)
            assert piece
            taken += len(piece)


def test_some_requests_ahead_of_their_answers_are_answered_in_order() -> None:
    app = Answering(1)
    with served(app, Impatient) as connection:
        connection.sendall(ASK * 50)
        taken = b""
        while taken.count(b"HTTP/1.1 200 ") < 50 or not taken.endswith(b"\0"):
            taken += connection.recv(65536)
    assert app.asked == 50


@pytest.mark.parametrize("size", [1, 50_000_000])
def test_a_flood_of_requests_ahead_of_their_answers_is_broken_off(size: int) -> None:
    app = Answering(size)
    with served(app, Impatient) as connection:
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
