"""POST /v1/items with vectors alone: as NDJSON or Arrow, by COPY, and without waiting for a model."""

import asyncio
import io
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import orjson
import pyarrow as pa
import pytest

from service.inputs.arrow_messages import ARROW
from service.quotas.api_keys import new_key, table_of
from tests.service.client import check_refusal, client
from tests.service.faults import FragileModel
from tests.tiny_model import EMBEDDING

KEY = new_key()
NDJSON = "application/x-ndjson"
COUNT = 3000


def vectors(count: int = COUNT) -> np.ndarray[Any, np.dtype[np.float32]]:
    return np.random.default_rng(5).standard_normal((count, EMBEDDING)).astype(np.float32)


def as_ndjson(count: int) -> bytes:
    lines = [
        {"id": f"v/{number}", "vector": row.tolist(), "metadata": {"number": number}}
        for number, row in enumerate(vectors(count))
    ]
    return b"\n".join(map(orjson.dumps, lines))


def as_arrow(count: int) -> bytes:
    table = pa.table(
        {
            "id": [f"v/{number}" for number in range(count)],
            "vector": pa.array(list(vectors(count)), pa.list_(pa.float32(), EMBEDDING)),
            "metadata": pa.array([{"number": number} for number in range(count)]),
        }
    )
    file = io.BytesIO()
    with pa.ipc.new_stream(file, table.schema) as writer:
        writer.write_table(table, max_chunksize=700)
    return file.getvalue()


FORMS = {NDJSON: as_ndjson, ARROW: as_arrow}


async def post(http: httpx.AsyncClient, kind: str, body: bytes, **headers: str) -> list[dict[str, Any]]:
    answer = await http.post("/v1/items", content=body, headers={"content-type": kind, **headers})
    assert answer.status_code == 200, answer.text
    return [orjson.loads(line) for line in answer.content.splitlines()]


@pytest.mark.parametrize("kind", FORMS)
def test_vectors_of_both_forms_are_stored_and_found(kind: str, tiny_models: Path, index_url: str) -> None:
    async def scenario() -> None:
        async with client(tiny_models, index_url) as http:
            for _ in range(2):
                # The second time every item is replaced.
                *lines, last = await post(http, kind, FORMS[kind](COUNT))
                assert [line["id"] for line in lines] == [f"v/{number}" for number in range(COUNT)]
                assert {line["status"] for line in lines} == {"ok"}
                assert last["summary"]["ok"] == COUNT
            (space,) = (await http.get("/v1/index")).json()["spaces"]
            assert space["items"] == COUNT
            for number in (0, 1234, COUNT - 1):
                vector = vectors()[number]
                found = (await http.post("/v1/neighbours", json={"vector": vector.tolist(), "k": 1})).json()
                (hit,) = found["neighbours"]
                assert (hit["id"], hit["metadata"]) == (f"v/{number}", {"number": number})
                assert hit["score"] == pytest.approx(1, abs=1e-5)

    asyncio.run(scenario())


@pytest.mark.parametrize("kind", FORMS)
def test_vectors_cost_no_quota_of_images_and_wait_for_no_model(
    kind: str, tiny_models: Path, index_url: str, tmp_path: Path
) -> None:
    path = tmp_path / "keys.toml"
    path.write_text(table_of("one", KEY, 0.001, 1))
    keyed: dict[str, Any] = {"api_keys_file": path, "data_dir": tmp_path}
    model = FragileModel(tiny_models)

    async def scenario() -> None:
        async with client(tiny_models, index_url, model, **keyed) as http:
            # No batch is answered while this is closed.
            model.gate.clear()
            *lines, last = await post(http, kind, FORMS[kind](200), authorization=f"Bearer {KEY}")
            assert last["summary"]["ok"] == len(lines) == 200
            model.gate.set()

    asyncio.run(scenario())


def test_rows_that_cannot_be_stored_are_named_and_the_others_are(tiny_models: Path, index_url: str) -> None:
    good = vectors(1)[0].tolist()
    rows: list[tuple[str, dict[str, Any]]] = [
        ("invalid_vector", {"vector": good[:-1]}),
        ("invalid_vector", {"vector": [0.0] * EMBEDDING}),
        ("invalid_vector", {"vector": [float("nan")] * EMBEDDING}),
        ("invalid_line", {"vector": None}),
        ("invalid_id", {"id": "a/../b", "vector": good}),
        ("invalid_metadata", {"vector": good, "metadata": '{"n": "\\u0000"}'}),
        ("invalid_metadata", {"vector": good, "metadata": "[1]"}),
    ]
    table = []
    for number, (_, row) in enumerate(rows):
        table += [
            {"id": f"bad {number}", "metadata": None, **row},
            {"id": f"good {number}", "vector": good, "metadata": "{}"},
        ]
    schema = pa.schema([("id", pa.string()), ("vector", pa.list_(pa.float32())), ("metadata", pa.string())])
    file = io.BytesIO()
    with pa.ipc.new_stream(file, schema) as writer:
        writer.write_table(pa.Table.from_pylist(table, schema))

    async def scenario() -> None:
        async with client(tiny_models, index_url) as http:
            *lines, last = await post(http, ARROW, file.getvalue())
            assert [line["error"]["code"] for line in lines[::2]] == [code for code, _ in rows]
            assert {line["status"] for line in lines[1::2]} == {"ok"}
            assert last["summary"]["ok"] == len(rows)

    asyncio.run(scenario())


def test_a_stream_of_other_columns_is_refused_with_the_reason(tiny_models: Path, index_url: str) -> None:
    file = io.BytesIO()
    table = pa.table({"name": ["a"], "vector": [[1.0] * EMBEDDING]})
    with pa.ipc.new_stream(file, table.schema) as writer:
        writer.write_table(table)

    async def scenario() -> None:
        async with client(tiny_models, index_url) as http:
            refused = await http.post("/v1/items", content=file.getvalue(), headers={"content-type": ARROW})
            check_refusal(refused, 422, "invalid_columns", "'name'")
            other = await http.post("/v1/items", content=b"", headers={"content-type": "text/csv"})
            check_refusal(other, 415, "unsupported_media_type", ARROW)

    asyncio.run(scenario())
