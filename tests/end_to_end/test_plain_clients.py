"""Clients that send a whole body before they read a byte of its answer, as most HTTP libraries do."""

import asyncio
import socket
import urllib.request
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from pathlib import Path

import aiohttp
import httpx
import orjson
import pytest
import requests
import urllib3

from tests.end_to_end.server import Server, serving, wait_for
from tests.end_to_end.test_slow_clients import connect, everything
from tests.pictures import photo
from tests.service.streams import ndjson

# Their answers are several times what the sockets of both sides take in (Linux: up to 10 MB).
ITEMS = 6000
_LONG_ID = "x" * 4000
_SECONDS = 120


@pytest.fixture(scope="module")
def server(
    tiny_models: Path, module_index: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Server]:
    folder = tmp_path_factory.mktemp("plain")
    with serving(tiny_models, folder, workers=1, database_url=module_index) as started:
        yield started


@pytest.fixture(scope="module")
def body() -> bytes:
    pictures = [photo(number) for number in range(50)]
    return ndjson([(f"{number:06}{_LONG_ID}", pictures[number % 50]) for number in range(ITEMS)])


HEADERS = {"Content-Type": "application/x-ndjson"}


def by_requests(url: str, body: bytes) -> bytes:
    return requests.post(url, data=body, headers=HEADERS, timeout=_SECONDS).content


def by_requests_in_chunks(url: str, body: bytes) -> bytes:
    pieces = (body[start : start + 65536] for start in range(0, len(body), 65536))
    return requests.post(url, data=pieces, headers=HEADERS, timeout=_SECONDS).content


def by_httpx(url: str, body: bytes) -> bytes:
    return httpx.post(url, content=body, headers=HEADERS, timeout=_SECONDS).content


def by_urllib3(url: str, body: bytes) -> bytes:
    return urllib3.request("POST", url, body=body, headers=HEADERS, timeout=_SECONDS, retries=False).data


def by_urllib(url: str, body: bytes) -> bytes:
    request = urllib.request.Request(url, body, HEADERS)  # noqa: S310 (a URL of the test's own)
    with urllib.request.urlopen(request, timeout=_SECONDS) as answer:  # noqa: S310
        content: bytes = answer.read()
    return content


def by_aiohttp(url: str, body: bytes) -> bytes:
    async def pieces() -> AsyncIterator[bytes]:
        for start in range(0, len(body), 65536):
            yield body[start : start + 65536]

    async def post() -> bytes:
        timeout = aiohttp.ClientTimeout(_SECONDS)
        async with (
            aiohttp.ClientSession(timeout=timeout) as session,
            session.post(url, data=pieces(), headers=HEADERS) as answer,
        ):
            return await answer.read()

    return asyncio.run(post())


CLIENTS: Sequence[Callable[[str, bytes], bytes]] = (
    by_requests,
    by_requests_in_chunks,
    by_httpx,
    by_urllib3,
    by_urllib,
    by_aiohttp,
)


@pytest.mark.parametrize("post", CLIENTS)
def test_a_batch_is_answered_whole(post: Callable[[str, bytes], bytes], server: Server, body: bytes) -> None:
    *items, last = map(orjson.loads, post(f"{server.url}/v1/batch", body).splitlines())
    assert [item["index"] for item in items] == list(range(ITEMS))
    assert last["summary"] == {"items": ITEMS, "ok": ITEMS, "errors": 0, "by_code": {}, "complete": True}


def test_items_are_stored_and_acknowledged(server: Server, body: bytes) -> None:
    *items, last = map(orjson.loads, by_requests(f"{server.url}/v1/items", body).splitlines())
    assert [item["index"] for item in items] == list(range(ITEMS))
    assert last["summary"]["complete"]


def test_beyond_the_limit_the_stream_ends_and_says_why(
    tiny_models: Path, index_url: str, body: bytes, tmp_path: Path
) -> None:
    limit = 4 * 2**20
    settings = {"workers": 1, "max_unread_bytes": limit, "client_seconds": 2, "database_url": index_url}
    with serving(tiny_models, tmp_path, **settings) as server:
        answer = by_requests(f"{server.url}/v1/batch", body)
        *items, error, last = map(orjson.loads, answer.splitlines())
        assert 0 < len(items) < ITEMS
        assert [item["index"] for item in items] == list(range(len(items)))
        assert error["error"]["code"] == "answers_not_read"
        assert error["error"]["limit"] == limit
        assert last["summary"]["items"] == len(items)
        assert not last["summary"]["complete"]
        # Who reads meanwhile gets all, however little is kept.
        *items, last = map(orjson.loads, by_aiohttp(f"{server.url}/v1/batch", body).splitlines())
        assert len(items) == ITEMS
        assert last["summary"]["complete"]


@pytest.fixture(scope="module")
def impatient(
    tiny_models: Path, module_index: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Server]:
    folder = tmp_path_factory.mktemp("impatient")
    with serving(tiny_models, folder, workers=1, client_seconds=1, database_url=module_index) as started:
        yield started


def begin(server: Server, body: bytes) -> socket.socket:
    """Send a body that goes on, and read nothing."""
    connection = connect(server)
    head = "POST /v1/batch HTTP/1.1\r\nHost: infomax\r\nConnection: close\r\nTransfer-Encoding: chunked"
    connection.sendall(f"{head}\r\nContent-Type: {HEADERS['Content-Type']}\r\n\r\n".encode())
    connection.sendall(chunk(body))
    return connection


def chunk(data: bytes) -> bytes:
    return b"%x\r\n%s\r\n" % (len(data), data)


def is_closed(connection: socket.socket) -> bool:
    """Whether the server closes a connection in the time that its socket allows."""
    try:
        return connection.recv(1) == b""
    except TimeoutError:
        return False


def test_a_client_that_sends_slowly_and_reads_last_is_waited_for(impatient: Server, body: bytes) -> None:
    """Longer than one that takes nothing is."""
    line = body[: body.index(b"\n") + 1]
    sent = ITEMS
    with begin(impatient, body) as connection:
        for _ in range(3):
            with connect(impatient) as clock:
                # Closed when the time of a client that has asked for nothing is over.
                clock.settimeout(0.1)
                while not is_closed(clock):
                    connection.sendall(chunk(line))
                    sent += 1
        connection.sendall(chunk(b""))
        answer = everything(connection)
    assert answer.count(b'{"index"') == sent
    assert b'"complete":true' in answer


def test_a_client_that_neither_sends_nor_reads_is_left(impatient: Server, body: bytes) -> None:
    with begin(impatient, body) as connection:
        wait_for(
            lambda: any("client went away" in str(one["message"]) for one in impatient.records()), impatient
        )
        answer = everything(connection)
    assert answer.count(b'{"index"') < ITEMS
    assert "Traceback" not in impatient.log


def test_a_client_that_stops_sending_and_reads_is_told_why(impatient: Server, body: bytes) -> None:
    with begin(impatient, body) as connection:
        answer = everything(connection)
    assert answer.count(b'{"index"') == ITEMS
    assert b'"code":"client_too_slow"' in answer
    assert b'"complete":false' in answer
