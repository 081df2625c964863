"""What a connection keeps of a client's bytes before anything else is known of them."""

from typing import Any

import orjson
import pytest

from service.http.size_limits import SizeLimitedConnection
from tests.service.http.connections import everything, served

LIMIT = 65_536
LINE = b"X: abcd\r\n"
ANSWER = b"HTTP/1.1 200 OK"


class Echo:
    """An application that reads its request, or not, and answers with the names of its fields.

    Attributes:
        bodies: of the requests whose end has come.
    """

    def __init__(self, *, reads: bool = True) -> None:
        self._reads = reads
        self.bodies: list[bytes] = []

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        body, more = b"", self._reads
        while more:
            message = await receive()
            if message["type"] == "http.disconnect":
                return
            body += message["body"]
            more = message["more_body"]
        self.bodies.append(body)
        names = b" ".join(sorted(name for name, _ in scope["headers"]))
        fields = [(b"content-length", str(len(names)).encode())]
        await send({"type": "http.response.start", "status": 200, "headers": fields})
        await send({"type": "http.response.body", "body": names})


def head_of(size: int, method: bytes = b"GET") -> bytes:
    """A head that counts as so many bytes."""
    filling = size - len(b"/Host: x\r\nX: \r\n")
    return method + b" / HTTP/1.1\r\nHost: x\r\nX: " + b"y" * filling + b"\r\n\r\n"


CHUNKED = b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
END = b"0\r\n"


def check_refusal(answer: bytes, status: int, code: str) -> dict[str, Any]:
    """The connection ends behind one refusal."""
    head, _, body = answer.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 %d " % status), answer[:200]
    assert b"connection: close" in head.lower()
    problem: dict[str, Any] = orjson.loads(body)
    assert (problem["status"], problem["code"]) == (status, code)
    return problem


@pytest.mark.parametrize("piece", [1_000_000, 10_000, 777])
@pytest.mark.parametrize("over", [0, 1])
def test_a_head_of_64_kib_is_the_largest(over: int, piece: int) -> None:
    sent = head_of(LIMIT + over)
    app = Echo()
    with served(app, SizeLimitedConnection) as connection:
        for start in range(0, len(sent), piece):
            connection.sendall(sent[start : start + piece])
        if over:
            assert check_refusal(everything(connection), 431, "head_too_large")["limit"] == LIMIT
        else:
            assert connection.recv(65536).startswith(ANSWER)
    assert len(app.bodies) == 1 - over


@pytest.mark.parametrize("reads", [True, False])
@pytest.mark.parametrize("unit", [LINE, b"y"], ids=["many", "one"])
def test_trailers_without_end_are_refused_and_not_read(unit: bytes, *, reads: bool) -> None:
    app = Echo(reads=reads)
    with served(app, SizeLimitedConnection) as connection:
        connection.sendall(CHUNKED + b"4\r\nabcd\r\n" + END + b"X: ")
        with pytest.raises(ConnectionError):
            for _ in range(1000):
                connection.sendall(unit * (100_000 // len(unit)))
    assert app.bodies == ([] if reads else [b""])


def test_the_client_of_trailers_that_are_too_long_gets_to_read_why() -> None:
    app = Echo()
    with served(app, SizeLimitedConnection) as connection:
        connection.sendall(CHUNKED + b"4\r\nabcd\r\n" + END + LINE * 20_000 + b"\r\n")
        check_refusal(everything(connection), 431, "head_too_large")
    assert app.bodies == []


def test_trailers_count_towards_the_head() -> None:
    head = CHUNKED[:-2] + b"Y: " + b"y" * 60_000 + b"\r\n\r\n"
    for lines, status in ((100, b"200"), (1000, b"431")):
        with served(Echo(), SizeLimitedConnection) as connection:
            connection.sendall(head + END + LINE * lines + b"\r\n")
            assert connection.recv(65536).startswith(b"HTTP/1.1 " + status)


def test_trailers_are_no_fields_of_the_request() -> None:
    app = Echo()
    with served(app, SizeLimitedConnection) as connection:
        connection.sendall(CHUNKED + b"4\r\nabcd\r\n" + END + b"X-API-Key: imx_hush\r\nHost: y\r\n\r\n")
        assert connection.recv(65536).endswith(b"\r\n\r\nhost transfer-encoding")
        # The next request of the connection has its own.
        connection.sendall(b"GET / HTTP/1.1\r\nHost: x\r\nX-Y: z\r\n\r\n")
        assert connection.recv(65536).endswith(b"\r\n\r\nhost x-y")
    assert app.bodies == [b"abcd", b""]


@pytest.mark.parametrize(("start", "unit"), [(b"1;x=", b"y"), (b"", b"0")], ids=["extension", "size"])
def test_lines_of_chunks_have_an_end(start: bytes, unit: bytes) -> None:
    with served(Echo(), SizeLimitedConnection) as connection:
        connection.sendall(CHUNKED + start)
        with pytest.raises(ConnectionError):
            for _ in range(1000):
                connection.sendall(unit * 100_000)


def test_a_long_body_in_short_chunks_is_a_body() -> None:
    app = Echo()
    with served(app, SizeLimitedConnection) as connection:
        connection.sendall(CHUNKED + b"1\r\nx\r\n" * 100_000 + END + b"\r\n")
        assert connection.recv(65536).startswith(ANSWER)
    assert app.bodies == [b"x" * 100_000]


@pytest.mark.parametrize(
    "codings",
    [
        [b"gzip, chunked"],
        [b"gzip"],
        [b"gzip", b"chunked"],
        [b"identity"],
        [b"x" * 1000],
    ],
)
def test_a_transfer_coding_that_is_not_read_is_refused_by_name(codings: list[bytes]) -> None:
    app = Echo()
    fields = b"".join(b"Transfer-Encoding: %s\r\n" % coding for coding in codings)
    with served(app, SizeLimitedConnection) as connection:
        connection.sendall(b"POST / HTTP/1.1\r\nHost: x\r\n" + fields + b"\r\n4\r\nabcd\r\n0\r\n\r\n")
        problem = check_refusal(everything(connection), 415, "unsupported_transfer_encoding")
    assert codings[0][:100].decode() in problem["detail"]
    assert app.bodies == []


@pytest.mark.parametrize("coding", [b"chunked, gzip", b"chunked, chunked", b""])
def test_a_body_whose_end_is_not_known_is_refused(coding: bytes) -> None:
    app = Echo()
    with served(app, SizeLimitedConnection) as connection:
        connection.sendall(b"POST / HTTP/1.1\r\nTransfer-Encoding: " + coding + b"\r\n\r\n4\r\nabcd\r\n")
        check_refusal(everything(connection), 400, "malformed_http")
    assert app.bodies == []


@pytest.mark.parametrize("coding", [b"chunked", b"Chunked", b" chunked "])
def test_chunked_is_read_however_it_is_written(coding: bytes) -> None:
    app = Echo()
    with served(app, SizeLimitedConnection) as connection:
        connection.sendall(
            b"POST / HTTP/1.1\r\nTransfer-Encoding:" + coding + b"\r\n\r\n4\r\nabcd\r\n0\r\n\r\n"
        )
        assert connection.recv(65536).startswith(ANSWER)
    assert app.bodies == [b"abcd"]


NO_HTTP = b"\x16\x03\x01\x02\r\n\r\n"
UNREAD = b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\n\r\n"


@pytest.mark.parametrize("fault", [NO_HTTP, head_of(LIMIT + 1), CHUNKED.replace(b"chunked", b"gzip")])
def test_a_refusal_is_not_taken_for_the_answer_to_an_earlier_request(fault: bytes) -> None:
    class Waiting(Echo):
        """Answers no request: its client leaves first."""

        async def __call__(self, _scope: Any, receive: Any, _send: Any) -> None:
            while (await receive())["type"] != "http.disconnect":
                pass

    with served(Waiting(), SizeLimitedConnection) as connection:
        connection.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n" + fault)
        assert everything(connection) == b""


def test_a_refusal_is_not_written_into_another_answer() -> None:
    class Endless(Echo):
        """Begins its answer before it reads."""

        async def __call__(self, _scope: Any, receive: Any, send: Any) -> None:
            await send({"type": "http.response.start", "status": 200, "headers": []})
            await send({"type": "http.response.body", "body": b"first", "more_body": True})
            while (await receive())["type"] != "http.disconnect":
                pass

    with served(Endless(), SizeLimitedConnection) as connection:
        connection.sendall(CHUNKED)
        answer = connection.recv(65536)
        while b"first" not in answer:
            answer += connection.recv(65536)
        connection.sendall(b"no chunk\r\n")
        assert (answer + everything(connection)).count(b"HTTP/1.1 ") == 1
