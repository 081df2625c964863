"""POST /v1/items: what is acknowledged is stored, what is not is named."""

import asyncio
import base64
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
import numpy as np
import orjson
import psycopg
import pytest

from contract.artefact import open_artefact
from tests.pictures import photo
from tests.service.client import client
from tests.service.exchange import Exchange
from tests.service.index_session import opened, tiny_card
from tests.service.live import live
from tests.service.streams import FORMATS, Files, tar

Line = dict[str, Any]
NDJSON = {"content-type": "application/x-ndjson"}
TAR = {"content-type": "application/x-tar"}


def lines_of(response: httpx.Response) -> tuple[list[Line], Line]:
    assert response.status_code == 200, response.text
    *items, last = [orjson.loads(line) for line in response.content.splitlines()]
    return items, last["summary"]


def photos(count: int) -> Files:
    return [(f"cats/{number}.jpg", photo(number)) for number in range(count)]


def image(seed: int) -> str:
    return base64.b64encode(photo(seed)).decode()


def body(*lines: Line) -> bytes:
    return b"\n".join(map(orjson.dumps, lines))


@pytest.mark.parametrize("name", FORMATS)
def test_every_acknowledged_item_is_stored(name: str, tiny_models: Path, index_url: str) -> None:
    files = [*photos(60), ("broken.jpg", b"no image")]
    content_type, pack = FORMATS[name]

    async def scenario() -> None:
        async with client(tiny_models, index_url) as http:
            response = await http.post(
                "/v1/items", content=pack(files), headers={"content-type": content_type}
            )
            items, summary = lines_of(response)
            assert items[:-1] == [
                {"index": index, "id": name, "status": "ok"} for index, (name, _) in enumerate(files[:-1])
            ]
            assert items[-1]["error"]["code"] == "unsupported_format"
            assert summary["ok"] == 60
        async with opened(index_url, tiny_card(tiny_models)) as index:
            for name, _ in files[:-1]:
                stored = await index.get(name)
                assert stored is not None
                assert (stored.width, stored.height, stored.format) == (32, 32, "JPEG")
            assert await index.get("broken.jpg") is None

    asyncio.run(scenario())


def test_lines_bring_metadata_and_vectors(tiny_models: Path, index_url: str) -> None:
    dimensions = open_artefact(tiny_models / "tiny" / "1").card.shapes.embedding
    vector = [3.0] + [0.0] * (dimensions - 1)

    async def scenario() -> None:
        async with client(tiny_models, index_url) as http:
            lines = body(
                {"id": "a", "image": image(1), "metadata": {"label": "cat", "pages": [1, 2]}},
                {"id": "v", "vector": vector, "metadata": {"kind": "bare"}},
                {"image": image(2)},
            )
            items, _ = lines_of(await http.post("/v1/items", content=lines, headers=NDJSON))
            assert [(item["id"], item["status"]) for item in items] == [("a", "ok"), ("v", "ok"), ("2", "ok")]
        async with opened(index_url, tiny_card(tiny_models)) as index:
            first, bare, third = [await index.get(item_id) for item_id in ("a", "v", "2")]
            assert first is not None
            assert first.metadata == {"label": "cat", "pages": [1, 2]}
            assert bare is not None
            assert bare.metadata == {"kind": "bare"}
            np.testing.assert_allclose(bare.vector, np.eye(dimensions)[0], atol=1e-6)
            assert bare.format is None
            assert third is not None
            assert third.metadata == {}

    asyncio.run(scenario())


def test_what_may_not_be_stored_is_named_and_the_rest_is(tiny_models: Path, index_url: str) -> None:
    bad: list[tuple[str, Line]] = [
        ("invalid_id", {"id": "a/../b", "image": image(0)}),
        ("invalid_id", {"id": "x" * 600, "image": image(0)}),
        ("invalid_metadata", {"image": image(0), "metadata": "text"}),
        ("invalid_metadata", {"image": image(0), "metadata": {"long": "x" * 20_000}}),
        ("invalid_vector", {"vector": [1, 2, 3]}),
        ("invalid_vector", {"vector": "text"}),
        ("invalid_line", {"image": image(0), "vector": [1]}),
        ("invalid_base64", {"image": "?"}),
        ("unsupported_format", {"image": base64.b64encode(b"text").decode()}),
    ]
    lines: list[Line] = []
    for number, (_, line) in enumerate(bad):
        lines += [line, {"id": f"good {number}", "image": image(number)}]

    async def scenario() -> None:
        async with client(tiny_models, index_url) as http:
            response = await http.post("/v1/items", content=body(*lines), headers=NDJSON)
            items, summary = lines_of(response)
            assert [item["error"]["code"] for item in items[::2]] == [code for code, _ in bad]
            assert {item["status"] for item in items[1::2]} == {"ok"}
            assert summary["ok"] == summary["errors"] == len(bad)
            statistics = (await http.get("/v1/index")).json()
            assert [space["items"] for space in statistics["spaces"]] == [len(bad)]

    asyncio.run(scenario())


def test_of_items_with_one_id_the_last_one_stays(tiny_models: Path, index_url: str) -> None:
    """Also where they are many chunks apart."""
    count = 200
    lines = [{"id": "same", "image": image(n), "metadata": {"number": n}} for n in range(count)]

    async def scenario() -> None:
        async with client(tiny_models, index_url) as http:
            items, _ = lines_of(await http.post("/v1/items", content=body(*lines), headers=NDJSON))
            assert [item["index"] for item in items] == list(range(count))
            stored = (await http.get("/v1/items/same")).json()
            assert stored["metadata"] == {"number": count - 1}

    asyncio.run(scenario())


def test_an_item_that_the_database_refuses_costs_the_others_nothing(
    tiny_models: Path, index_url: str
) -> None:
    async def scenario() -> None:
        async with client(tiny_models, index_url) as http:
            first = await http.post("/v1/items", content=tar(photos(1)), headers=TAR)
            assert lines_of(first)[1]["ok"] == 1
            with psycopg.connect(index_url, autocommit=True) as connection:
                connection.execute("ALTER TABLE infomax.items_1 ADD CHECK (id <> 'cats/13.jpg')")
            items, summary = lines_of(await http.post("/v1/items", content=tar(photos(40)), headers=TAR))
            failed = {item["id"]: item["error"]["code"] for item in items if item["status"] == "error"}
            assert failed == {"cats/13.jpg": "index_refused"}
            assert summary["ok"] == 39
            statistics = (await http.get("/v1/index")).json()
            assert [space["items"] for space in statistics["spaces"]] == [39]

    asyncio.run(scenario())


def test_a_database_that_goes_away_in_mid_stream_costs_no_acknowledged_item(
    tiny_models: Path, index_url: str
) -> None:
    name = urlsplit(index_url).path.removeprefix("/")
    admin = index_url.replace(f"/{name}?", "/postgres?")
    archive = tar(photos(60))
    middle = len(archive) // 2

    def shut_out() -> None:
        with psycopg.connect(admin, autocommit=True) as connection:
            connection.execute(f"ALTER DATABASE {name} ALLOW_CONNECTIONS false")
            connection.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s", [name]
            )

    def let_in() -> None:
        with psycopg.connect(admin, autocommit=True) as connection:
            connection.execute(f"ALTER DATABASE {name} ALLOW_CONNECTIONS true")

    acknowledged: list[Line] = []
    lost: list[Line] = []
    with (
        live(tiny_models, index_url, max_batch=64) as server,
        Exchange(server.connect(), "/v1/items", "application/x-tar") as exchange,
    ):
        exchange.send(archive[:middle])
        assert exchange.status() == 200
        while len(acknowledged) < 25:
            line = exchange.line()
            assert line is not None
            acknowledged.append(line)
        shut_out()
        try:
            exchange.send(archive[middle:])
            exchange.send(b"")
            while (line := exchange.line()) is not None and "summary" not in line:
                (acknowledged if line["status"] == "ok" else lost).append(line)
        finally:
            let_in()
    assert line is not None
    assert line["summary"]["complete"] is True
    assert [item["index"] for item in acknowledged + lost] == list(range(60))
    assert {item["error"]["code"] for item in lost} == {"index_unavailable"}
    with psycopg.connect(index_url) as connection:
        stored = {row[0] for row in connection.execute("SELECT id FROM infomax.items")}
    assert {item["id"] for item in acknowledged} <= stored
