"""POST /v1/neighbours in parts: what is known at once, then each hit's side of its explanation."""

import asyncio
import json
from pathlib import Path
from typing import Any

import httpx
import pytest

from service.index.store import Index
from tests.pictures import photo
from tests.service.client import client
from tests.tiny_model import EMBEDDING

ROUTE = "/v1/neighbours"
LINES = {"accept": "application/x-ndjson"}
ASKED = {"k": "9", "explain": "true", "maps": "contribution,information,contrast", "embedding": "true"}


async def fill(http: httpx.AsyncClient) -> None:
    for seed in range(6):
        assert (await http.put(f"/v1/items/{seed}", content=photo(seed))).status_code == 200
    await http.put("/v1/items/vector", json={"vector": [1.0] * EMBEDDING})


async def lines_of(http: httpx.AsyncClient, **request: Any) -> list[Any]:
    response = await http.post(ROUTE, headers=LINES, **request)
    assert response.status_code == 200, response.text
    assert response.headers["content-type"] == LINES["accept"]
    return [json.loads(line) for line in response.text.splitlines()]


def test_the_parts_together_are_the_answer(tiny_models: Path, index_url: str) -> None:
    async def scenario() -> None:
        async with client(tiny_models, index_url) as http:
            await fill(http)
            whole = (await http.post(ROUTE, content=photo(4), params=ASKED)).json()
            first, *sides = await lines_of(http, content=photo(4), params=ASKED)
            explained = {hit["id"]: hit["explanation"] for hit in first["neighbours"]}
            # A bare vector has no code to explain it by.
            assert explained.pop("vector") is None
            assert [side["id"] for side in sides] == list(explained)
            assert not any("hit" in why for why in explained.values())
            for side in sides:
                explained[side["id"]]["hit"] = side["hit"]
            assert first == whole

    asyncio.run(scenario())


def test_without_explanations_there_is_one_line(tiny_models: Path, index_url: str) -> None:
    async def scenario() -> None:
        async with client(tiny_models, index_url) as http:
            await fill(http)
            (only,) = await lines_of(http, json={"id": "2", "k": 3})
            assert only == (await http.post(ROUTE, json={"id": "2", "k": 3})).json()

    asyncio.run(scenario())


def test_a_failure_behind_the_first_line_is_the_last_line(
    tiny_models: Path, index_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def scenario() -> None:
        async with client(tiny_models, index_url) as http:
            await fill(http)

            async def lost(_index: Index, _ids: object) -> object:
                raise RuntimeError("the disk is gone")

            monkeypatch.setattr(Index, "pictures", lost)
            first, last = await lines_of(http, content=photo(4), params=ASKED)
            assert len(first["neighbours"]) == 7
            assert last["error"]["code"] == "internal_error"
            assert "disk" not in last["error"]["message"]

    asyncio.run(scenario())
