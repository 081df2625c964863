"""What a client of POST /v1/batch sees."""

import asyncio
import base64
import logging
import random
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import orjson
import pyarrow as pa
import pytest

from service.inference.results import Embedded, Want
from service.inputs.body import refuse_file_name
from tests.pictures import photo, plain
from tests.service.client import client
from tests.service.faults import POISON, FragileModel, running
from tests.service.streams import FORMATS, Files, ndjson, tar

Line = dict[str, Any]

BROKEN = {17: b"this is no image", 50: b"", 99: photo(99)[:-200]}
HUNDRED: Files = [(f"{number:03}.jpg", BROKEN.get(number, photo(number))) for number in range(100)]


def lines_of(response: httpx.Response) -> tuple[list[Line], Line]:
    """The lines of the items, and the summary."""
    assert response.status_code == 200, response.text
    assert response.headers["content-type"] == "application/x-ndjson"
    *items, last = [orjson.loads(line) for line in response.content.splitlines()]
    return items, last["summary"]


async def post(http: httpx.AsyncClient, name: str, files: Files, query: str = "") -> httpx.Response:
    content_type, pack = FORMATS[name]
    headers = {"content-type": content_type}
    return await http.post(f"/v1/batch{query}", content=pack(files), headers=headers)


@pytest.mark.parametrize("name", FORMATS)
def test_three_broken_images_of_a_hundred_cost_the_others_nothing(
    name: str, tiny_models: Path, index_url: str
) -> None:
    async def scenario() -> None:
        async with running(tiny_models) as pipeline:
            good = [content for number, (_, content) in enumerate(HUNDRED) if number not in BROKEN]
            expected = await pipeline.embed(good, Want.EMBEDDING)
        async with client(tiny_models, index_url) as http:
            items, summary = lines_of(await post(http, name, HUNDRED))
        assert [item["index"] for item in items] == list(range(100))
        assert [item["id"] for item in items] == [name for name, _ in HUNDRED]
        errors = {item["index"]: item["error"]["code"] for item in items if item["status"] == "error"}
        assert errors == {17: "unsupported_format", 50: "empty_image", 99: "truncated_image"}
        answers = [item["embedding"] for item in items if item["status"] == "ok"]
        vectors = [one.embedding for one in expected if isinstance(one, Embedded)]
        np.testing.assert_allclose(answers, vectors, atol=1e-5)
        assert summary == {
            "items": 100,
            "ok": 97,
            "errors": 3,
            "by_code": {"empty_image": 1, "truncated_image": 1, "unsupported_format": 1},
            "complete": True,
        }

    asyncio.run(scenario())


def test_permuting_a_stream_permutes_its_answers(tiny_models: Path, index_url: str) -> None:
    order = list(range(100))
    random.Random(0).shuffle(order)

    async def scenario() -> None:
        async with client(tiny_models, index_url) as http:
            straight, _ = lines_of(await post(http, "tar", HUNDRED))
            shuffled, _ = lines_of(await post(http, "tar", [HUNDRED[number] for number in order]))
        for item, number in zip(shuffled, order, strict=True):
            expected = straight[number]
            assert item["id"] == expected["id"]
            assert item["status"] == expected["status"]
            if item["status"] == "ok":
                np.testing.assert_allclose(item["embedding"], expected["embedding"], atol=1e-5)

    asyncio.run(scenario())


def test_a_stream_of_nothing_is_summed_up(tiny_models: Path, index_url: str) -> None:
    async def scenario() -> None:
        async with client(tiny_models, index_url) as http:
            for name in FORMATS:
                items, summary = lines_of(await post(http, name, []))
                assert items == []
                assert summary == {"items": 0, "ok": 0, "errors": 0, "by_code": {}, "complete": True}

    asyncio.run(scenario())


def test_outputs_are_those_that_were_asked_for(tiny_models: Path, index_url: str) -> None:
    files = HUNDRED[:5]

    async def scenario() -> None:
        async with running(tiny_models) as pipeline:
            expected = await pipeline.embed([content for _, content in files], Want.MAP)
        async with client(tiny_models, index_url) as http:
            everything = "?outputs=embedding,mi_map,neighbours&k=3"
            items, _ = lines_of(await post(http, "ndjson", files, everything))
            for item, one in zip(items, expected, strict=True):
                assert isinstance(one, Embedded)
                assert one.mi_map is not None
                np.testing.assert_allclose(item["embedding"], one.embedding, atol=1e-5)
                np.testing.assert_allclose(item["mi_map"]["nats"], one.mi_map, atol=1e-4)
                assert item["neighbours"] == []
            items, _ = lines_of(await post(http, "ndjson", files, "?outputs=mi_map"))
            assert {key for item in items for key in item} == {"index", "id", "status", "mi_map"}
            items, _ = lines_of(await post(http, "ndjson", files, "?encoding_format=base64"))
            for item, one in zip(items, expected, strict=True):
                assert isinstance(one, Embedded)
                vector = np.frombuffer(base64.b64decode(item["embedding"]), "<f4")
                np.testing.assert_allclose(vector, one.embedding, atol=1e-5)

    asyncio.run(scenario())


def test_arrow_holds_what_the_lines_say(tiny_models: Path, index_url: str) -> None:
    query = "/v1/batch?outputs=embedding,mi_map"

    async def scenario() -> None:
        async with client(tiny_models, index_url) as http:
            headers = {"content-type": "application/x-tar"}
            body = tar(HUNDRED)
            lines, summary = lines_of(await http.post(query, content=body, headers=headers))
            headers["accept"] = "application/vnd.apache.arrow.stream"
            response = await http.post(query, content=body, headers=headers)
            cut_short = await http.post(query, content=body[: len(body) // 2], headers=headers)
            refused = await http.post(f"{query},neighbours", content=body, headers=headers)
        assert response.headers["content-type"] == headers["accept"]
        table, told = table_of(response)
        assert table.schema.metadata[b"infomax.model"] == b"tiny/1"
        for row, line in zip(table.to_pylist(), lines, strict=True):
            assert [row[name] for name in ("index", "id", "status")] == [
                line[name] for name in ("index", "id", "status")
            ]
            if line["status"] == "ok":
                np.testing.assert_allclose(row["embedding"], line["embedding"], atol=1e-5)
                np.testing.assert_allclose(row["mi_map"], np.ravel(line["mi_map"]["nats"]), atol=1e-4)
            else:
                assert (row["error_code"], row["embedding"]) == (line["error"]["code"], None)
                assert row["error_message"] == line["error"]["message"]
        assert told == {"summary": summary}
        table, told = table_of(cut_short)
        assert told["error"]["code"] == "damaged_stream"
        assert told["summary"]["complete"] is False
        assert told["summary"]["items"] == len(table) > 0
        assert refused.json()["code"] == "invalid_parameter"

    asyncio.run(scenario())


def table_of(response: httpx.Response) -> tuple[pa.Table, Line]:
    """All rows of an Arrow answer, and what its last batch says of the stream."""
    batches, last = [], None
    with pa.ipc.open_stream(response.content) as reader:
        while last is None:
            batch, last = reader.read_next_batch_with_custom_metadata()
            batches.append(batch)
    return pa.Table.from_batches(batches), {key.decode(): orjson.loads(last[key]) for key in last}


def test_neighbours_are_found_for_every_image(tiny_models: Path, index_url: str) -> None:
    files = [(f"{number}.jpg", photo(number)) for number in range(40)]

    async def scenario() -> None:
        async with client(tiny_models, index_url) as http:
            headers = {"content-type": "application/x-tar"}
            stored = await http.post("/v1/items", content=tar(files), headers=headers)
            assert lines_of(stored)[1]["ok"] == 40
            items, _ = lines_of(await post(http, "tar", files, "?outputs=neighbours&k=5"))
        for item in items:
            assert "embedding" not in item
            assert len(item["neighbours"]) == 5
            assert item["neighbours"][0]["id"] == item["id"]
            assert item["neighbours"][0]["score"] == pytest.approx(1, abs=1e-5)

    asyncio.run(scenario())


def test_an_image_that_breaks_the_model_fails_alone(tiny_models: Path, index_url: str) -> None:
    files = [(str(value), plain(value)) for value in (*range(100, 130), POISON, *range(130, 160))]
    model = FragileModel(tiny_models)
    model.poison = RuntimeError("poisoned")

    async def scenario() -> None:
        async with client(tiny_models, index_url, model) as http:
            items, summary = lines_of(await post(http, "tar", files))
        assert [item["id"] for item in items] == [name for name, _ in files]
        assert [item["id"] for item in items if item["status"] == "error"] == [str(POISON)]
        assert items[30]["error"]["code"] == "inference_failed"
        assert summary["ok"] == 60

    asyncio.run(scenario())


def test_a_damaged_archive_keeps_what_was_answered(tiny_models: Path, index_url: str) -> None:
    body = tar(HUNDRED[:10])

    async def scenario() -> None:
        async with client(tiny_models, index_url) as http:
            headers = {"content-type": "application/x-tar"}
            response = await http.post("/v1/batch", content=body[: len(body) // 3], headers=headers)
        assert response.status_code == 200
        *items, error, last = [orjson.loads(line) for line in response.content.splitlines()]
        assert 0 < len(items) < 10
        assert [item["id"] for item in items] == [name for name, _ in HUNDRED[: len(items)]]
        assert error["error"]["code"] == "damaged_stream"
        assert f"after {len(items)} images" in error["error"]["message"]
        assert last["summary"]["complete"] is False
        assert last["summary"]["items"] == len(items)

    asyncio.run(scenario())


@pytest.mark.parametrize(
    ("content_type", "query", "accept", "status", "code", "says"),
    [
        ("image/jpeg", "", "*/*", 415, "unsupported_media_type", "/v1/embeddings"),
        ("application/x-tar", "", "*/*", 422, "damaged_stream", "after 0 images"),
        ("multipart/form-data", "", "*/*", 422, "damaged_stream", "boundary"),
        (
            "application/x-ndjson",
            '?outputs=neighbours&filter={"a":{"$gt":1}}',
            "*/*",
            422,
            "invalid_filter",
            "'$gt'",
        ),
        ("application/x-ndjson", "?outputs=embeding", "*/*", 422, "invalid_parameter", "mi_map, neighbours"),
        ("application/x-ndjson", "?outputs=", "*/*", 422, "invalid_parameter", "mi_map, neighbours"),
        ("application/x-ndjson", "?k=0", "*/*", 422, "invalid_parameter", "greater than or equal to 1"),
        ("application/x-ndjson", "?output=mi_map", "*/*", 422, "invalid_parameter", "outputs"),
        ("application/x-ndjson", "?model=other", "*/*", 404, "unknown_model", "tiny/1"),
        ("application/x-ndjson", "", "image/png", 406, "not_acceptable", "application/x-ndjson"),
    ],
)
def test_a_stream_that_cannot_be_answered_is_refused(
    content_type: str,
    query: str,
    accept: str,
    status: int,
    code: str,
    says: str,
    tiny_models: Path,
    index_url: str,
) -> None:
    async def scenario() -> None:
        headers = {"content-type": content_type, "accept": accept}
        async with client(tiny_models, index_url) as http:
            response = await http.post(f"/v1/batch{query}", content=b"\xff" * 1000, headers=headers)
        assert response.headers["content-type"] == "application/problem+json"
        assert (response.status_code, response.json()["code"]) == (status, code)
        assert says in response.json()["detail"]

    asyncio.run(scenario())


@pytest.mark.parametrize("route", ["/v1/batch", "/v1/items"])
def test_the_name_of_a_file_is_no_stream_and_no_error_of_the_service(
    route: str, tiny_models: Path, index_url: str, caplog: pytest.LogCaptureFixture
) -> None:
    async def scenario() -> None:
        async with client(tiny_models, index_url) as http:
            for kind, name in (("x-tar", b"photos.tar"), ("zip", b"a b.ZIP\n"), ("x-ndjson", b"i.ndjson")):
                headers = {"content-type": f"application/{kind}"}
                response = await http.post(route, content=name, headers=headers)
                assert (response.status_code, response.json()["code"]) == (422, "damaged_stream")
                assert "with curl, write @ before it" in response.json()["detail"]

    asyncio.run(scenario())
    assert not [record for record in caplog.records if record.levelno >= logging.ERROR]


def test_a_stream_may_begin_with_what_could_be_a_name() -> None:
    async def scenario(pieces: list[bytes]) -> list[bytes]:
        async def body() -> AsyncIterator[bytes]:
            for piece in pieces:
                yield piece

        return [piece async for piece in refuse_file_name(body())]

    for pieces in ([b"a.tar", b"\0"], [b"x", b"a.tar"], [b'{"id": "a.jpg'], []):
        assert asyncio.run(scenario(pieces)) == pieces


def test_a_vector_is_no_image_of_a_batch(tiny_models: Path, index_url: str) -> None:
    body = orjson.dumps({"id": "v", "vector": [1.0]}) + b"\n" + ndjson(HUNDRED[:1])

    async def scenario() -> None:
        async with client(tiny_models, index_url) as http:
            headers = {"content-type": "application/x-ndjson"}
            items, _ = lines_of(await http.post("/v1/batch", content=body, headers=headers))
        assert [item["status"] for item in items] == ["error", "ok"]
        assert items[0]["error"]["code"] == "no_image"

    asyncio.run(scenario())
