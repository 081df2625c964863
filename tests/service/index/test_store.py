"""The index against a real PostgreSQL: what was put is found, in the right order, by the right model."""

import asyncio
from pathlib import Path

import numpy as np
import psycopg
import pytest

from contract.card import ModelCard
from service.index import graph
from service.index.filters import compile_filter
from service.index.items import Metadata, NewItem
from service.index.search import Query
from service.index.store import Index
from tests.service.index_session import directions, graph_use, items_of, opened, tiny_card


@pytest.fixture
def card(tiny_models: Path) -> ModelCard:
    return tiny_card(tiny_models)


def test_search_returns_exactly_the_most_similar_best_first(index_url: str, card: ModelCard) -> None:
    vectors = directions(card, 500)

    async def run() -> None:
        async with opened(index_url, card) as index:
            await index.put(items_of(vectors))
            for query in directions(card, 5, seed=1):
                hits = await index.search(Query(query, 7))
                cosine = vectors @ query
                expected = np.argsort(-cosine)[:7]
                assert [hit.id for hit in hits] == [f"{number:06}" for number in expected]
                assert [hit.score for hit in hits] == pytest.approx(cosine[expected], abs=1e-6)

    asyncio.run(run())


def test_an_item_finds_itself_first_with_score_one(index_url: str, card: ModelCard) -> None:
    vectors = directions(card, 20)

    async def run() -> None:
        async with opened(index_url, card) as index:
            await index.put(items_of(vectors))
            for number, vector in enumerate(vectors):
                (hit,) = await index.search(Query(vector, 1))
                assert hit.id == f"{number:06}"
                assert 1 - 1e-6 <= hit.score <= 1

    asyncio.run(run())


def test_equal_scores_come_in_the_order_of_their_ids(index_url: str, card: ModelCard) -> None:
    vector = directions(card, 1)[0]
    names = ["b", "Z", "a", "10", "9", "é", "z"]

    async def run() -> None:
        async with opened(index_url, card) as index:
            await index.put([NewItem(name, vector) for name in names])
            hits = await index.search(Query(vector, 5))
            assert [hit.id for hit in hits] == sorted(names, key=str.encode)[:5]

    asyncio.run(run())


def test_fewer_items_than_asked_for_are_all_returned(index_url: str, card: ModelCard) -> None:
    vectors = directions(card, 3)

    async def run() -> None:
        async with opened(index_url, card) as index:
            assert await index.search(Query(vectors[0], 10)) == []
            await index.put(items_of(vectors))
            assert len(await index.search(Query(vectors[0], 1000))) == 3

    asyncio.run(run())


def test_a_filter_selects_by_containment_in_the_metadata(index_url: str, card: ModelCard) -> None:
    vectors = directions(card, 4)
    metadata: list[Metadata] = [
        {"label": "cat", "tags": ["a", "b"]},
        {"label": "cat", "place": {"city": "Paris", "zip": 1}},
        {"label": "dog", "tags": ["a"]},
        {},
    ]

    async def run() -> None:
        async with opened(index_url, card) as index:
            await index.put(items_of(vectors, metadata))

            async def matching(**filter_: object) -> set[int]:
                return {
                    int(hit.id) for hit in await index.search(Query(vectors[0], 10, compile_filter(filter_)))
                }

            assert await matching(label="cat") == {0, 1}
            assert await matching(tags=["a"]) == {0, 2}
            assert await matching(place={"city": "Paris"}) == {1}
            assert await matching(label="cat", tags=["b"]) == {0}
            assert await matching(label="bird") == set()
            assert await matching() == {0, 1, 2, 3}

    asyncio.run(run())


def test_an_item_comes_back_as_it_was_put(index_url: str, card: ModelCard) -> None:
    vector = directions(card, 1)[0]
    metadata: Metadata = {"text": "Grüße 猫 \"\\'%s{}", "number": 0.1, "big": 2**53, "list": [None, True, {}]}
    item = NewItem("cats/1.jpg", vector, metadata, np.arange(12, dtype=np.float32), 640, 480, "JPEG")

    async def run() -> None:
        async with opened(index_url, card) as index:
            assert await index.get(item.id) is None
            await index.put([item])
            stored = await index.get(item.id)
            assert stored is not None
            assert stored.vector.tolist() == vector.tolist()
            assert stored.metadata == metadata
            assert (stored.width, stored.height, stored.format) == (640, 480, "JPEG")
            (hit,) = await index.search(Query(vector, 1, with_codes=True))
            assert hit.code is not None
            assert hit.code.tolist() == list(range(12))

    asyncio.run(run())


def test_putting_an_id_again_replaces_the_whole_item(index_url: str, card: ModelCard) -> None:
    first, second, third = directions(card, 3)

    async def run() -> None:
        async with opened(index_url, card) as index:
            await index.put([NewItem("a", first, {"old": 1}, np.ones(12, np.float32), 1, 1, "PNG")])
            await index.put([NewItem("a", second, {"new": 1}), NewItem("b", first), NewItem("a", third)])
            stored = await index.get("a")
            assert stored is not None
            assert (stored.vector.tolist(), stored.metadata, stored.format) == (third.tolist(), {}, None)
            assert [hit.id for hit in await index.search(Query(third, 10))] == ["a", "b"]

    asyncio.run(run())


def test_a_deleted_item_is_gone(index_url: str, card: ModelCard) -> None:
    vectors = directions(card, 2)

    async def run() -> None:
        async with opened(index_url, card) as index:
            await index.put(items_of(vectors))
            assert await index.delete("000000")
            assert not await index.delete("000000")
            assert await index.get("000000") is None
            assert [hit.id for hit in await index.search(Query(vectors[0], 10))] == ["000001"]

    asyncio.run(run())


def test_either_all_items_of_a_put_are_stored_or_none(index_url: str, card: ModelCard) -> None:
    vectors = directions(card, 2)

    async def run() -> None:
        async with opened(index_url, card) as index:
            items = [*items_of(vectors), NewItem("zz", vectors[0][:-1])]
            with pytest.raises(psycopg.errors.CheckViolation):
                await index.put(items)
            assert await index.search(Query(vectors[0], 10)) == []

    asyncio.run(run())


def test_concurrent_puts_of_the_same_ids_do_not_block_each_other(index_url: str, card: ModelCard) -> None:
    vectors = directions(card, 64)

    async def run() -> None:
        async with opened(index_url, card) as one, opened(index_url, card) as other:
            items = items_of(vectors)
            await asyncio.gather(
                *(target.put(items[:: 1 - 2 * (n % 2)]) for n in range(8) for target in (one, other))
            )
            assert len(await one.search(Query(vectors[0], 100))) == 64

    asyncio.run(run())


def test_model_versions_coexist_and_never_mix(index_url: str, card: ModelCard) -> None:
    vector = directions(card, 1)[0]
    shorter = vector[:8] / np.linalg.norm(vector[:8])
    next_version = card.model_copy(
        update={"version": 2, "shapes": card.shapes.model_copy(update={"embedding": 8})}
    )
    other_pixels = card.model_copy(update={"preprocessing_sha256": "0" * 64})
    retrained = card.model_copy(
        update={"weights": tuple(digest.model_copy(update={"sha256": "1" * 64}) for digest in card.weights)}
    )
    vectors = [(card, vector), (next_version, shorter), (other_pixels, -vector), (retrained, vector)]

    async def run() -> None:
        for number, (own, value) in enumerate(vectors):
            async with opened(index_url, own) as index:
                await index.put([NewItem("same", value, {"number": number})])
        for number, (own, value) in enumerate(vectors):
            async with opened(index_url, own) as index:
                hits = await index.search(Query(value, 10))
                assert [(hit.id, hit.metadata) for hit in hits] == [("same", {"number": number})]
                assert hits[0].score == pytest.approx(1)
        async with opened(index_url, card) as index:
            await index.delete("same")
            spaces = (await index.statistics()).spaces
            assert [(space.model, space.dimensions, space.items) for space in spaces] == [
                ("tiny/1", card.shapes.embedding, 0),
                ("tiny/2", 8, 1),
                ("tiny/1", card.shapes.embedding, 1),
                ("tiny/1", card.shapes.embedding, 1),
            ]

    asyncio.run(run())


def test_two_servers_make_the_space_of_a_new_model_once(index_url: str, card: ModelCard) -> None:
    vectors = directions(card, 8)

    async def put_one(number: int) -> None:
        async with opened(index_url, card) as index:
            await index.put([NewItem(str(number), vectors[number])])

    async def run() -> None:
        await asyncio.gather(*(put_one(number) for number in range(8)))
        async with opened(index_url, card) as index:
            (space,) = (await index.statistics()).spaces
            assert space.items == 8
            assert space.bytes > 0

    asyncio.run(run())


@pytest.fixture
def cities() -> list[dict[str, object]]:
    """Metadata of 2,000 items: half of them in Paris, one in a hundred rare, three of them unique."""
    return [
        {"city": "Paris" if n % 2 else "Rome", "rare": n % 100 == 0, "unique": n if n < 3 else None}
        for n in range(2000)
    ]


def test_a_space_that_outgrew_exact_search_gets_a_graph(
    index_url: str, card: ModelCard, cities: list[dict[str, object]]
) -> None:
    vectors = directions(card, 2000)
    queries = directions(card, 20, seed=1)

    async def run() -> None:
        async with opened(index_url, card, exact_items=1000) as index:
            await index.put(items_of(vectors, cities))  # type: ignore[arg-type]
            assert [space.search for space in (await index.statistics()).spaces] == ["exact"]
            await index.maintain()
            await index.maintain()
            assert [space.search for space in (await index.statistics()).spaces] == ["hnsw"]
            await recall_is_high(index)
            await filters_miss_nothing(index)
            new = NewItem("new", queries[0])
            await index.put([new])
            assert (await index.search(Query(new.vector, 1)))[0].id == "new"
            assert len(await index.search(Query(queries[0], 1000))) == 1000

    async def recall_is_high(index: Index) -> None:
        found = 0
        for query in queries:
            hits = await index.search(Query(query, 10))
            nearest = {f"{number:06}" for number in np.argsort(-(vectors @ query))[:10]}
            found += len(nearest & {hit.id for hit in hits})
            scores = [hit.score for hit in hits]
            assert scores == sorted(scores, reverse=True)
            assert scores == pytest.approx([float(vectors[int(hit.id)] @ query) for hit in hits], abs=1e-6)
        assert found >= 0.95 * 10 * len(queries)

    async def filters_miss_nothing(index: Index) -> None:
        for filter_, count in (
            ({"city": "Paris"}, 1000),
            ({"rare": True}, 20),
            ({"unique": 2}, 1),
            ({"no": 1}, 0),
        ):
            hits = await index.search(Query(queries[0], 1000, compile_filter(filter_)))
            assert len(hits) == count
            assert all(filter_.items() <= dict(hit.metadata).items() for hit in hits)

    asyncio.run(run())


def test_a_graph_whose_building_was_cut_short_is_built_anew(index_url: str, card: ModelCard) -> None:
    vectors = directions(card, 200)

    async def leave_a_broken_graph() -> None:
        # Too few items to build one of its own accord, whenever its upkeep happens to run.
        async with opened(index_url, card, exact_items=1000) as index:
            await index.put(items_of(vectors))
            with psycopg.connect(index_url, autocommit=True) as connection:
                connection.execute(
                    "CREATE INDEX items_1_hnsw ON infomax.items_1 "
                    f"USING hnsw ((embedding::halfvec({card.shapes.embedding})) halfvec_ip_ops)"
                )
                connection.execute(
                    "UPDATE pg_index SET indisvalid = false WHERE indexrelid = %s::regclass",
                    ["infomax.items_1_hnsw"],
                )
            assert (await index.statistics()).spaces[0].search == "exact"

    async def build_it_anew() -> None:
        async with opened(index_url, card, exact_items=100) as index:
            await index.maintain()
            assert (await index.statistics()).spaces[0].search == "hnsw"

    asyncio.run(leave_a_broken_graph())
    asyncio.run(build_it_anew())


def test_the_graph_is_what_answers_a_search_in_a_large_space(index_url: str, card: ModelCard) -> None:
    assert card.shapes.embedding <= graph.MAX_DIMENSIONS
    vectors = directions(card, 5000)

    async def run() -> None:
        async with opened(index_url, card, exact_items=100) as index:
            await index.put(items_of(vectors))
            await index.maintain()
            await index.search(Query(vectors[0], 10))

    asyncio.run(run())
    assert graph_use(index_url)[0] == 1
