"""Bodies that do not go on: the request is given up, what had arrived of a stream is answered."""

import asyncio
import base64
import selectors
import socket
from pathlib import Path
from typing import Any

import orjson
import pytest

from service.errors import ServiceError
from service.http.body_timeout import TimedBody, note_arrival
from tests.pictures import photo
from tests.service.exchange import Exchange
from tests.service.live import live

IMPATIENT = 0.5
NDJSON = "application/x-ndjson"


def line(number: int) -> bytes:
    image = base64.b64encode(photo(number)).decode()
    return orjson.dumps({"id": str(number), "image": image}) + b"\n"


def everything(connection: socket.socket) -> bytes:
    """What the server sends up to the connection's end."""
    parts = []
    while part := connection.recv(65536):
        parts.append(part)
    return b"".join(parts)


@pytest.mark.parametrize("sent", [0, 2000])
def test_a_request_that_does_not_go_on_is_refused_and_its_connection_closed(
    sent: int, tiny_models: Path, index_url: str
) -> None:
    head = "POST /v1/embeddings HTTP/1.1\r\nHost: infomax\r\nContent-Length: 9000\r\n"
    with live(tiny_models, index_url, client_seconds=IMPATIENT) as server, server.connect() as connection:
        connection.sendall(f"{head}\r\n".encode() + bytes(sent))
        answer, _, body = everything(connection).partition(b"\r\n\r\n")
    assert answer.startswith(b"HTTP/1.1 408 ")
    assert b"connection: close" in answer.lower()
    problem = orjson.loads(body)
    assert (problem["code"], problem["setting"]) == ("client_too_slow", "INFOMAX_CLIENT_SECONDS")


def test_a_stream_that_does_not_go_on_ends_with_what_had_arrived(tiny_models: Path, index_url: str) -> None:
    with (
        live(tiny_models, index_url, client_seconds=IMPATIENT) as server,
        Exchange(server.connect(), "/v1/batch", NDJSON) as exchange,
    ):
        for number in range(3):
            exchange.send(line(number))
        exchange.send(line(3)[:100])
        assert exchange.status() == 200
        lines = []
        while (text := exchange.line()) is not None:
            lines.append(text)
    *items, error, last = lines
    assert [(item["id"], item["status"]) for item in items] == [(str(number), "ok") for number in range(3)]
    assert error["error"]["code"] == "client_too_slow"
    assert last["summary"]["complete"] is False


class Body:
    """A client's side of a request: what it sends, and how long it takes before each message."""

    def __init__(self, *messages: tuple[float, bytes, bool]) -> None:
        self._messages = iter(messages)

    async def receive(self) -> dict[str, object]:
        pause, body, more_body = next(self._messages)
        await asyncio.sleep(pause)
        return {"type": "http.request", "body": body, "more_body": more_body}


class _NoWait(selectors.DefaultSelector):
    """Where an event loop would wait, its clock goes on at once."""

    def __init__(self) -> None:
        super().__init__()
        self.now = 0.0

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        self.now += timeout or 0.0
        return super().select(0)


class InstantLoop(asyncio.SelectorEventLoop):
    """An event loop whose seconds take no time."""

    def __init__(self) -> None:
        self._clock = _NoWait()
        super().__init__(self._clock)

    def time(self) -> float:
        return self._clock.now


def run(body: Body, seconds: float, think: float = 0.0) -> int:
    """Receive a body with pauses of the service's own; the number of its bytes."""

    async def scenario() -> int:
        impatient = TimedBody({}, body.receive, seconds)
        size, more = 0, True
        while more:
            message = await impatient.receive()
            size += len(message["body"])
            more = message["more_body"]
            await asyncio.sleep(think)
        return size

    with asyncio.Runner(loop_factory=InstantLoop) as runner:
        return runner.run(scenario())


KIB = bytes(1024)


def test_a_byte_now_and_then_is_not_going_on() -> None:
    drops = [(9.0, b"x", True)] * 10_000
    with pytest.raises(ServiceError, match=r"body did not go on for 60 seconds"):
        run(Body(*drops), 60)


def test_a_client_that_goes_on_may_take_any_time() -> None:
    pieces = [(59.0, KIB, True)] * 100
    assert run(Body(*pieces, (59.0, b"", False)), 60) == 100 * 1024


def test_the_time_that_the_service_takes_is_not_the_clients() -> None:
    pieces = [(1.0, b"x", True)] * 50
    assert run(Body(*pieces, (1.0, b"", False)), 60, think=100) == 50


def test_behind_the_body_nobody_is_hurried() -> None:
    """A handler listens for its client's leaving for as long as it works."""
    body = Body((0.0, b"x", False), (1000.0, b"y", False))

    async def scenario() -> None:
        impatient = TimedBody({}, body.receive, 1)
        assert (await impatient.receive())["body"] == b"x"
        assert (await impatient.receive())["body"] == b"y"

    with asyncio.Runner(loop_factory=InstantLoop) as runner:
        runner.run(scenario())


def test_a_body_that_has_arrived_is_not_timed() -> None:
    """A service that is busy for long reads it late."""
    body = Body((1000.0, b"x", False))
    scope: dict[str, Any] = {"state": {}}
    note_arrival(scope)

    async def scenario() -> None:
        assert (await TimedBody(scope, body.receive, 1).receive())["body"] == b"x"

    with asyncio.Runner(loop_factory=InstantLoop) as runner:
        runner.run(scenario())
