"""A stream over a real connection: early answers, clients who leave, a service that stops."""

import asyncio
import base64
from pathlib import Path

import orjson
import pytest

from tests.pictures import photo
from tests.service.client import client
from tests.service.exchange import Exchange
from tests.service.faults import FragileModel
from tests.service.live import live
from tests.service.streams import cut, ndjson, pieces_of, tar

NDJSON = "application/x-ndjson"


def line(number: int) -> bytes:
    image = base64.b64encode(photo(number)).decode()
    return orjson.dumps({"id": str(number), "image": image}) + b"\n"


def test_an_image_is_answered_while_the_client_has_yet_to_send_the_next(
    tiny_models: Path, index_url: str
) -> None:
    with (
        live(tiny_models, index_url) as server,
        Exchange(server.connect(), "/v1/batch", NDJSON, "Expect: 100-continue") as exchange,
    ):
        assert exchange.status() == 100
        for number in range(5):
            exchange.send(line(number))
            if number == 0:
                assert exchange.status() == 200
            item = exchange.line()
            assert item is not None
            assert (item["index"], item["id"], item["status"]) == (number, str(number), "ok")
        exchange.send(b"")
        last = exchange.line()
        assert last is not None
        assert last["summary"]["items"] == 5
        assert exchange.line() is None


@pytest.mark.parametrize("complete", [False, True], ids=["in mid-stream", "after its last image"])
def test_the_work_of_a_client_who_leaves_is_dropped(
    complete: bool, tiny_models: Path, index_url: str
) -> None:
    model = FragileModel(tiny_models)
    with live(tiny_models, index_url, model) as server:
        model.gate.clear()
        with Exchange(server.connect(), "/v1/batch", NDJSON) as exchange:
            exchange.send(b"".join(map(line, range(40))))
            if complete:
                exchange.send(b"")
            assert model.entered.wait(60)
        admission = server.runtime.models.default.pipeline._admission
        assert admission is not None
        # The gate is still closed: nothing is answered, and still everything is let go.
        server.run(asyncio.wait_for(admission.until_empty(), 60))
        model.gate.set()


def test_a_stream_that_the_service_stops_is_told_so(tiny_models: Path, index_url: str) -> None:
    model = FragileModel(tiny_models)
    archive = tar([(f"{number}.jpg", photo(number)) for number in range(300)])
    pieces = pieces_of(cut(archive, range(0, len(archive), 8192)))

    async def scenario() -> None:
        async with client(tiny_models, index_url, model) as http:
            pipeline = http._transport.app.state.runtime.models.default.pipeline  # type: ignore[attr-defined]
            model.gate.clear()
            headers = {"content-type": "application/x-tar"}
            streaming = asyncio.create_task(http.post("/v1/batch", content=pieces, headers=headers))
            assert await asyncio.to_thread(model.entered.wait, 60)
            stopping = asyncio.create_task(pipeline.stop(0))
            response = await streaming
            model.gate.set()
            await stopping
        assert response.status_code == 200
        *items, error, last = [orjson.loads(text) for text in response.content.splitlines()]
        assert 0 < len(items) < 300
        assert [item["index"] for item in items] == list(range(len(items)))
        assert {item["error"]["code"] for item in items if item["status"] == "error"} == {"shutting_down"}
        assert error["error"]["code"] == "shutting_down"
        assert last["summary"]["complete"] is False
        assert last["summary"]["items"] == len(items)

    asyncio.run(scenario())


def test_a_client_who_reads_late_gets_everything(tiny_models: Path, index_url: str) -> None:
    """It sends 3,000 images before it reads a line: in the end both directions are full, and nobody hangs."""
    files = [(str(number), photo(number % 50)) for number in range(3000)]
    body = ndjson(files)
    with live(tiny_models, index_url) as server, server.connect() as connection:
        head = f"POST /v1/batch HTTP/1.1\r\nHost: infomax\r\nContent-Type: {NDJSON}\r\n"
        connection.sendall(f"{head}Content-Length: {len(body)}\r\n\r\n".encode())
        connection.setblocking(False)
        sent = 0
        read: list[bytes] = []
        while sent < len(body):
            try:
                sent += connection.send(body[sent : sent + 65536])
            except BlockingIOError:
                # The server takes no more until some answers are read.
                connection.settimeout(60)
                read.append(connection.recv(65536))
                connection.setblocking(False)
        connection.settimeout(60)
        while not b"".join(read[-2:]).endswith(b"\r\n0\r\n\r\n"):
            read.append(connection.recv(65536))
    lines = [text for text in b"".join(read).split(b"\n") if text.startswith(b'{"index"')]
    assert [orjson.loads(text)["index"] for text in lines] == list(range(3000))
