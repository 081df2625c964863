"""Two replicas on one database: each sees at once what the other has done."""

import asyncio
from pathlib import Path

import numpy as np
import pytest

from contract.card import ModelCard
from service.index.items import NewItem
from service.index.search import Query
from tests.pictures import photo
from tests.service.client import client
from tests.service.index_session import directions, graph_use, items_of, opened, tiny_card


@pytest.fixture
def card(tiny_models: Path) -> ModelCard:
    return tiny_card(tiny_models)


def test_what_one_replica_stores_and_deletes_the_other_answers_with(
    tiny_models: Path, index_url: str
) -> None:
    async def run() -> None:
        async with client(tiny_models, index_url) as one, client(tiny_models, index_url) as other:
            replicas = (one, other)
            for number in range(6):
                answer = await replicas[number % 2].put(
                    f"/v1/items/{number}",
                    content=photo(number),
                    headers={"content-type": "image/jpeg"},
                )
                assert answer.is_success, answer.text
            for replica in replicas:
                for number in range(6):
                    answer = await replica.post("/v1/neighbours", json={"id": str(number), "k": 6})
                    hits = answer.json()["neighbours"]
                    assert hits[0]["id"] == str(number)
                    assert len(hits) == 6
            assert (await one.delete("/v1/items/3")).is_success
            assert (await other.get("/v1/items/3")).status_code == 404
            answer = await other.post("/v1/neighbours", json={"id": "2", "k": 6})
            assert "3" not in [hit["id"] for hit in answer.json()["neighbours"]]

    asyncio.run(run())


def test_a_graph_that_one_process_builds_is_used_at_once_by_every_other(
    index_url: str, card: ModelCard
) -> None:
    vectors = directions(card, 3000)

    async def run() -> None:
        # Neither looks by itself: the first look of the upkeep is over, and the next is 15 s away.
        async with opened(index_url, card, exact_items=100) as builder, opened(index_url, card) as other:
            await builder.put(items_of(vectors))
            assert len(await other.search(Query(vectors[0], 10))) == 10
            await builder.maintain()
            await other.search(Query(vectors[0], 10))

    asyncio.run(run())
    assert graph_use(index_url)[0] == 1


def test_upserts_from_two_replicas_are_idempotent(index_url: str, card: ModelCard) -> None:
    vectors = directions(card, 50)
    items = [NewItem(f"{n:02}", vector, {"n": n}) for n, vector in enumerate(vectors)]

    async def run() -> None:
        async with opened(index_url, card) as one, opened(index_url, card) as other:
            for _ in range(3):
                await asyncio.gather(one.put(items), other.put(items[:20]), other.put(items[10:11]))
            (space,) = (await one.statistics()).spaces
            assert space.items == 50
            for place, item in enumerate(items):
                stored = await other.get(item.id)
                assert stored is not None
                assert (stored.vector.tolist(), stored.metadata) == (vectors[place].tolist(), {"n": place})
            hits = await one.search(Query(vectors[0], 100))
            assert len(hits) == len({hit.id for hit in hits}) == 50
            assert [hit.score for hit in hits] == pytest.approx(np.sort(vectors @ vectors[0])[::-1], abs=1e-6)

    asyncio.run(run())
