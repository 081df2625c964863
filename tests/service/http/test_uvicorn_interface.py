"""What `service.http.uvicorn_interface` relies on: names and order of calls inside the pinned uvicorn."""

import ast
import asyncio
import logging
import re
import tomllib
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pytest
import uvicorn
from starlette.responses import Response

from service.http.uvicorn_interface import Connection, Server

ROOT = Path(__file__).parents[3]
ASK = b"GET /a?b HTTP/1.1\r\nHost: x\r\n\r\n"
CHUNKED = b"POST /a HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n"


def test_uvicorn_is_pinned_to_what_is_installed() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    (pin,) = [one for one in project["optional-dependencies"]["serving"] if re.match(r"uvicorn\b", one)]
    assert pin == f"uvicorn[standard]=={version('uvicorn')}"


def test_no_other_file_of_the_service_imports_uvicorn() -> None:
    importing = set()
    for path in (ROOT / "service").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            if isinstance(node, ast.ImportFrom):
                names = [node.module or ""]
            if any(name.split(".")[0] == "uvicorn" for name in names):
                importing.add(path.name)
    assert importing == {"uvicorn_interface.py"}


class Transport(asyncio.Transport):
    """Keeps what is written."""

    def __init__(self) -> None:
        super().__init__({"peername": ("127.0.0.1", 5000), "sockname": ("127.0.0.1", 8000)})
        self.written = b""
        self.closing = False

    def write(self, data: Any) -> None:
        self.written += bytes(data)

    def is_closing(self) -> bool:
        return self.closing

    def close(self) -> None:
        self.closing = True

    def pause_reading(self) -> None:
        """Nothing more comes anyway."""

    def resume_reading(self) -> None:
        """What comes is fed by the test."""


class Noted(Connection):
    """Notes what it is told, and in which state."""

    def __init__(self, **parts: Any) -> None:
        super().__init__(**parts)
        self.noted: list[str] = []

    def malformed(self, reason: str) -> None:
        assert reason
        self.noted.append("malformed")

    def answer_ends(self) -> None:
        self.noted.append(f"answered, {self.requests_ahead} ahead")

    def idle_ends(self) -> None:
        self.noted.append("idle")

    def on_headers_complete(self) -> None:
        url, fields = self.request_line_and_fields
        self.noted.append(f"head {url.decode()} {[name.decode() for name, _ in fields]}")
        super().on_headers_complete()
        self.begin_trailers()

    def on_message_complete(self) -> None:
        _, trailers = self.request_line_and_fields
        self.noted.append(f"end {[name.decode() for name, _ in trailers]}")
        super().on_message_complete()


async def answer(scope: Any, receive: Any, send: Any) -> None:
    """Read the body; tell of what the request's fields were when it had come."""
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            scope["told"].append("gone")
            return
        if not message["more_body"]:
            break
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"0")]})
    await send({"type": "http.response.body", "body": b""})


def exchange(check: Callable[[Noted, Transport], Any], keep_alive_seconds: int = 5) -> None:
    """Run a check with a connection that is made."""

    async def scenario() -> None:
        told: list[str] = []

        async def app(scope: Any, receive: Any, send: Any) -> None:
            await answer({**scope, "told": told}, receive, send)

        server = Server(app, Noted, keep_alive_seconds=keep_alive_seconds, cancel_seconds=1)
        server.config.load()
        server.lifespan = server.config.lifespan_class(server.config)
        transport = Transport()
        connection = Noted(**server.connection_parts)
        counted = [server.has_connections]
        connection.connection_made(transport)
        counted.append(server.has_connections)
        await check(connection, transport)
        connection.connection_lost(ConnectionError())
        counted.append(server.has_connections)
        assert counted == [False, True, False]

    asyncio.run(scenario())


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(60):
        while not condition():  # noqa: ASYNC110 (what is waited for has no event)
            await asyncio.sleep(0)


def test_heads_ends_and_answers_are_told_in_order() -> None:
    async def check(connection: Noted, transport: Transport) -> None:
        states = [(connection.answered, connection.replaceable)]
        connection.data_received(ASK)
        states.append((connection.answered, connection.replaceable))
        await until(lambda: connection.answered)
        states.append((connection.answered, connection.replaceable))
        assert states == [(True, False), (False, True), (True, False)]
        assert connection.noted == [
            "head /a?b ['host']",
            "end []",
            "answered, 0 ahead",
        ]
        assert transport.written.startswith(b"HTTP/1.1 200 OK\r\n")

    exchange(check)


def test_requests_ahead_are_counted_until_they_are_begun() -> None:
    async def check(connection: Noted, _transport: Transport) -> None:
        connection.data_received(ASK * 3)
        assert connection.requests_ahead == 2
        # The latest request is not the one that is being answered.
        assert not connection.replaceable
        await until(lambda: connection.answered)
        assert [one for one in connection.noted if one.startswith("answered")] == [
            "answered, 1 ahead",
            "answered, 0 ahead",
            "answered, 0 ahead",
        ]

    exchange(check)


def test_trailers_are_apart_from_the_fields_that_the_application_reads() -> None:
    async def check(connection: Noted, _transport: Transport) -> None:
        connection.data_received(CHUNKED + b"1\r\nx\r\n")
        fields = connection.scope["headers"]
        connection.data_received(b"0\r\nX-Key: y\r\n\r\n")
        assert connection.noted[:2] == ["head /a ['transfer-encoding']", "end ['x-key']"]
        assert fields == [(b"transfer-encoding", b"chunked")]
        await until(lambda: connection.answered)

    exchange(check)


@pytest.mark.parametrize("sent", [b"\x16\x03\x01\r\n", CHUNKED + b"no chunk\r\n"])
def test_what_is_not_http_is_told(sent: bytes) -> None:
    async def check(connection: Noted, _transport: Transport) -> None:
        connection.data_received(sent)
        assert connection.noted[-1] == "malformed"
        connection.abandon()

    exchange(check)


def test_a_callback_that_raises_stops_the_parser_and_is_told() -> None:
    class Raising(Noted):
        def on_headers_complete(self) -> None:
            raise ValueError("enough")

    async def check(connection: Noted, _transport: Transport) -> None:
        raising = Raising(
            **{name: getattr(connection, name) for name in ("config", "server_state", "app_state")}
        )
        raising.connection_made(Transport())
        raising.data_received(ASK * 2)
        assert raising.noted == ["malformed"]
        raising.connection_lost(ConnectionError())

    exchange(check)


def test_an_abandoned_request_is_told_that_its_client_is_gone_and_writes_nothing() -> None:
    async def check(connection: Noted, transport: Transport) -> None:
        connection.data_received(CHUNKED)
        tasks = list(connection.tasks)
        assert len(tasks) == 1
        connection.abandon()
        await asyncio.wait_for(tasks[0], 60)
        assert transport.written == b""
        assert not connection.answered

    exchange(check)


def test_an_answer_of_ones_own_is_written_as_it_is() -> None:
    async def check(connection: Noted, transport: Transport) -> None:
        connection.write(Response(b"abc", 431, {"Connection": "close"}, "text/plain"))
        head, _, body = transport.written.partition(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 431 Request Header Fields Too Large\r\n")
        assert {b"connection: close", b"content-length: 3"} <= set(head.split(b"\r\n"))
        assert body == b"abc"

    exchange(check)


def test_an_idle_connection_is_told_when_it_is_closed() -> None:
    async def check(connection: Noted, transport: Transport) -> None:
        connection.data_received(ASK)
        await until(lambda: "idle" in connection.noted)
        assert transport.closing

    exchange(check, keep_alive_seconds=0)


def test_an_offer_of_another_protocol_is_passed_over_without_a_warning(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async def check(connection: Noted, transport: Transport) -> None:
        offer = ASK[:-2] + b"Connection: Upgrade\r\nUpgrade: h2c\r\n\r\n"
        for _ in range(2):
            connection.data_received(offer)
            await until(lambda: connection.answered)
        assert transport.written.count(b"HTTP/1.1 200 ") == 2

    with caplog.at_level(logging.WARNING):
        exchange(check)
    assert caplog.records == []


def test_a_server_begins_serves_until_it_is_asked_to_end_and_ends() -> None:
    said: list[str] = []

    class Own(Server):
        def begin(self) -> None:
            said.append("begun")
            asyncio.get_running_loop().call_soon(self.ask_to_end)

        async def end(self) -> None:
            said.append("ended")

        async def on_tick(self, counter: int) -> bool:
            # uvicorn writes the date here, and looks whether to end.
            await asyncio.sleep(0)
            return await super().on_tick(counter)

    server = Own(answer, Noted, keep_alive_seconds=1, cancel_seconds=1)
    assert isinstance(server, uvicorn.Server)
    asyncio.run(server.serve())
    assert said == ["begun", "ended"]
    assert any(name == b"date" for name, _ in server.server_state.default_headers)
    assert not any(name == b"server" for name, _ in server.server_state.default_headers)
