"""Clients that keep connections busy with nothing, against the real server (Slowloris and its kin)."""

import socket
from collections.abc import Iterator
from pathlib import Path

import httpx
import orjson
import pytest

from tests.end_to_end.server import Server, serving
from tests.pictures import photo

IMPATIENT = 1.0
_PATIENCE = 60
HEAD = b"POST /v1/embeddings HTTP/1.1\r\nHost: infomax\r\nContent-Type: image/jpeg\r\n"


@pytest.fixture(scope="module")
def server(
    tiny_models: Path, module_index: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Server]:
    folder = tmp_path_factory.mktemp("slow")
    with serving(
        tiny_models, folder, workers=1, client_seconds=IMPATIENT, database_url=module_index
    ) as started:
        yield started


def connect(server: Server) -> socket.socket:
    host, port = server.url.removeprefix("http://").split(":")
    return socket.create_connection((host, int(port)), timeout=_PATIENCE)


def everything(connection: socket.socket) -> bytes:
    """What the server sends up to the connection's end, in order or not."""
    parts = []
    try:
        while part := connection.recv(65536):
            parts.append(part)
    except ConnectionResetError:
        pass
    return b"".join(parts)


def problem(answer: bytes) -> dict[str, object]:
    head, _, body = answer.partition(b"\r\n\r\n")
    assert b"application/problem+json" in head
    assert b"connection: close" in head.lower()
    value: dict[str, object] = orjson.loads(body)
    return value


def test_a_connection_on_which_nothing_is_asked_is_closed_without_a_word(server: Server) -> None:
    with connect(server) as connection:
        assert everything(connection) == b""


@pytest.mark.parametrize("sent", [b"G", HEAD, b"\r\n\r\n"], ids=["a byte", "a head", "empty lines"])
def test_a_head_that_is_not_finished_is_refused(sent: bytes, server: Server) -> None:
    with connect(server) as connection:
        connection.sendall(sent)
        answer = everything(connection)
    assert answer.startswith(b"HTTP/1.1 408 ")
    assert problem(answer)["code"] == "client_too_slow"


def test_drops_of_a_head_do_not_prolong_it(server: Server) -> None:
    """Slowloris: one more header before each timeout, for ever."""
    with connect(server) as connection:
        connection.sendall(HEAD)
        connection.settimeout(IMPATIENT / 10)
        answer = b""
        for number in range(1000):
            try:
                connection.sendall(b"X-%d: y\r\n" % number)
                answer = connection.recv(65536)
                break
            except TimeoutError:
                # No answer yet: the next drop.
                continue
            except ConnectionError:
                return
    assert answer.startswith(b"HTTP/1.1 408 ")


def test_the_second_request_of_a_connection_has_its_time_too(server: Server) -> None:
    with connect(server) as connection:
        connection.sendall(b"GET /livez HTTP/1.1\r\nHost: infomax\r\n\r\n")
        answer = b""
        while not answer.endswith(b"}"):
            answer += connection.recv(65536)
        assert answer.startswith(b"HTTP/1.1 200 ")
        connection.sendall(b"GET /livez HTTP/1.1\r\nHost: infomax\r\n")
        assert everything(connection).startswith(b"HTTP/1.1 408 ")


@pytest.mark.parametrize(
    "request_", [b"GET /livez HTTP/1.1\r\n", b"POST /livez HTTP/1.1\r\nContent-Length: 3\r\n"]
)
def test_between_two_requests_a_client_may_think_for_longer(request_: bytes, server: Server) -> None:
    with connect(server) as connection:
        connection.sendall(request_ + b"Host: infomax\r\n\r\n" + (b"abc" if b"POST" in request_ else b""))
        assert b"HTTP/1.1 " in connection.recv(65536)
        for _ in range(2):
            with connect(server) as clock:
                # Closed when the time of a client that has asked for nothing is over.
                assert everything(clock) == b""
        connection.sendall(b"GET /livez HTTP/1.1\r\nHost: infomax\r\nConnection: close\r\n\r\n")
        assert b"HTTP/1.1 200 " in everything(connection)


def test_a_head_without_end_is_refused_at_its_limit(server: Server) -> None:
    with connect(server) as connection:
        connection.sendall(HEAD)
        try:
            for number in range(100_000):
                connection.sendall(b"X-%d: %s\r\n" % (number, b"y" * 1000))
        except ConnectionError:
            pass
        answer = everything(connection)
    # The server closes while more is coming, so its answer may be lost on the way; the end is not.
    assert not answer or problem(answer)["code"] == "head_too_large"
    assert any("over 65,536 bytes" in str(record["message"]) for record in server.records())


def test_what_is_no_http_is_refused_as_a_problem(server: Server) -> None:
    with connect(server) as connection:
        # The beginning of a TLS handshake.
        connection.sendall(b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03")
        answer = everything(connection)
    assert answer.startswith(b"HTTP/1.1 400 ")
    assert problem(answer)["code"] == "malformed_http"


def test_a_body_that_does_not_go_on_is_refused(server: Server) -> None:
    with connect(server) as connection:
        connection.sendall(HEAD + b"Content-Length: 5000\r\n\r\nxxxx")
        answer = everything(connection)
    assert answer.startswith(b"HTTP/1.1 408 ")
    assert problem(answer)["code"] == "client_too_slow"


def test_the_rest_of_a_body_that_was_refused_is_not_waited_for(server: Server) -> None:
    with connect(server) as connection:
        connection.sendall(b"POST /nothing HTTP/1.1\r\nHost: infomax\r\nContent-Length: 5000\r\n\r\nxxxx")
        answer = everything(connection)
    assert answer.startswith(b"HTTP/1.1 404 ")


def test_a_client_that_does_not_take_its_answers_is_left(server: Server) -> None:
    """It asks again and again and reads nothing: once its answers fill the way, it is waited for and left."""
    with connect(server) as connection:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        try:
            while True:
                connection.sendall(b"GET /openapi.json HTTP/1.1\r\nHost: infomax\r\n\r\n" * 100)
        except ConnectionError:
            pass


def test_who_is_not_slow_notices_nothing(server: Server) -> None:
    with httpx.Client(base_url=server.url) as client:
        for number in range(20):
            answer = client.post(
                "/v1/embeddings", content=photo(number), headers={"Content-Type": "image/jpeg"}
            )
            assert answer.status_code == 200
    assert "Traceback" not in server.log
