"""What searches through the graph find, against exact search over clustered vectors."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from contract.card import ModelCard
from service.index import search, search_plan
from service.index.filters import compile_filter
from service.index.search import Query
from service.index.search_plan import Recall
from service.index.store import Index
from tests.service.index_session import MANY, graph_use, items_of, opened, tiny_card

DIMENSIONS = 48
ITEMS = 4000
QUERIES = 25

Vectors = NDArray[np.float32]


@pytest.fixture(scope="module")
def card(tiny_models: Path) -> ModelCard:
    card = tiny_card(tiny_models)
    return card.model_copy(update={"shapes": card.shapes.model_copy(update={"embedding": DIMENSIONS})})


@pytest.fixture(scope="module")
def vectors() -> Vectors:
    """Items in clusters, as embeddings lie, and queries from the same: float32 [ITEMS + QUERIES, D]."""
    rng = np.random.default_rng(3)
    centres = rng.standard_normal((60, DIMENSIONS))
    rows = centres[rng.integers(0, 60, ITEMS + QUERIES)] + 0.5 * rng.standard_normal(
        (ITEMS + QUERIES, DIMENSIONS)
    )
    unit: Vectors = (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)
    return unit


def metadata(number: int) -> dict[str, Any]:
    # In the order of the items, as folders come sorted by class.
    return {"part": number * 10 // ITEMS, "rare": number % 1000 == 7, "number": number}


PARTS: dict[str, tuple[dict[str, Any], Callable[[int], bool]]] = {
    "a tenth": ({"part": 3}, lambda n: n * 10 // ITEMS == 3),
    "three tenths": ({"part": {"in": [1, 5, 9]}}, lambda n: n * 10 // ITEMS in (1, 5, 9)),
    "a range": ({"number": {"gte": 1000, "lt": 1800}}, lambda n: 1000 <= n < 1800),
    "all but a tenth": ({"not": {"part": 0}}, lambda n: n * 10 // ITEMS != 0),
    "a thousandth": ({"rare": True}, lambda n: n % 1000 == 7),
    "none": ({"part": "3"}, lambda _: False),
}


@asynccontextmanager
async def filled(url: str, card: ModelCard, vectors: Vectors) -> AsyncIterator[Index]:
    async with opened(url, card, exact_items=ITEMS // 2) as index:
        items = items_of(vectors[:ITEMS], [metadata(number) for number in range(ITEMS)])
        for start in range(0, ITEMS, 500):
            await index.put(items[start : start + 500])
        await index.maintain()
        yield index


async def recall(
    index: Index,
    vectors: Vectors,
    k: int,
    how: Recall = Recall.HIGH,
    filter_: dict[str, Any] | None = None,
    passes: Callable[[int], bool] = lambda _: True,
) -> float:
    """The share of the true neighbours that are found; there are always as many hits as exist."""
    allowed = np.array([number for number in range(ITEMS) if passes(number)], int)
    found = most = 0
    condition = compile_filter(filter_ or {})
    for query in vectors[ITEMS:]:
        hits = await index.search(Query(query, k, condition, how))
        scores = [hit.score for hit in hits]
        assert scores == sorted(scores, reverse=True)
        assert len(hits) == min(k, len(allowed))
        true = allowed[np.argsort(-(vectors[allowed] @ query))[:k]] if len(allowed) else allowed
        found += len({int(hit.id) for hit in hits} & set(true.tolist()))
        most += len(true)
    return found / most if most else 1.0


def test_each_level_finds_what_it_says(index_url: str, card: ModelCard, vectors: Vectors) -> None:
    async def run() -> None:
        async with filled(index_url, card, vectors) as index:
            for k in (1, 10, 100):
                assert await recall(index, vectors, k, Recall.EXACT) == 1
                assert await recall(index, vectors, k, Recall.HIGH) >= 0.98
                assert await recall(index, vectors, k, Recall.FAST) >= 0.9
            # More than the graph keeps at a time.
            assert await recall(index, vectors, 1000, Recall.HIGH) >= 0.97

    asyncio.run(run())


@pytest.mark.parametrize("way", ["chosen", "graph", "rows"])
def test_filters_miss_nothing_whichever_way_is_taken(
    way: str, index_url: str, card: ModelCard, vectors: Vectors, monkeypatch: pytest.MonkeyPatch
) -> None:
    cost = {"graph": 1e9, "rows": 0.0}
    if way in cost:
        monkeypatch.setattr(search_plan, "_INDEXED_COST", cost[way])
        monkeypatch.setattr(search_plan, "_SCANNED_COST", cost[way])

    async def run() -> None:
        async with filled(index_url, card, vectors) as index:
            for name, (filter_, passes) in PARTS.items():
                least = 1.0 if way == "rows" or name in ("a thousandth", "none") else 0.97
                assert await recall(index, vectors, 10, Recall.HIGH, filter_, passes) >= least, name
                assert await recall(index, vectors, 10, Recall.EXACT, filter_, passes) == 1, name

    asyncio.run(run())


def test_a_walk_that_gives_up_is_not_believed(
    index_url: str, card: ModelCard, vectors: Vectors, monkeypatch: pytest.MonkeyPatch
) -> None:
    # A sample that takes one item in a hundred for one in three: a walk is chosen that visits a third of the
    # items, finds more than k that pass, and not the nearest ones.
    monkeypatch.setattr(search.SearchMemory, "share", lambda *_: 1 / 3)
    monkeypatch.setattr(search_plan, "_BREADTH", {Recall.HIGH: (10, 0.0), Recall.FAST: (10, 0.0)})
    monkeypatch.setattr(search_plan, "LEAST_WALK", ITEMS // 3)
    monkeypatch.setattr(search_plan, "WALK_MARGIN", 0.0)
    few = {"number": {"in": list(range(50, ITEMS, 100))}}

    async def run() -> None:
        async with filled(index_url, card, vectors) as index:
            chosen = index, vectors, 10
            assert await recall(*chosen, Recall.HIGH, few, lambda number: number % 100 == 50) == 1
            assert await recall(*chosen, Recall.FAST, few, lambda number: number % 100 == 50) < 1

    asyncio.run(run())


def test_the_breadth_of_a_walk_counts_for_its_statement_alone(
    index_url: str, card: ModelCard, vectors: Vectors, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def search(breadth: int) -> None:
        monkeypatch.setattr(search_plan, "_BREADTH", {Recall.HIGH: (breadth, 0.0)})
        async with opened(index_url, card, MANY) as index:
            for query in vectors[ITEMS:]:
                await index.search(Query(query, 10))
            async with index._database.connection() as connection:
                cursor = await connection.execute("SELECT current_setting('hnsw.ef_search')")
                assert await cursor.fetchone() == ("40",)

    async def fill() -> None:
        async with filled(index_url, card, vectors):
            pass

    asyncio.run(fill())
    read = [graph_use(index_url)[1]]
    for breadth in (10, 1000):
        asyncio.run(search(breadth))
        read.append(graph_use(index_url)[1])
    few, many = np.diff(read)
    assert many > 4 * few


def test_a_graph_is_used_by_every_process_once_it_is_there(
    index_url: str, card: ModelCard, vectors: Vectors
) -> None:
    async def run() -> None:
        # This one never builds, and its upkeep does not run again while the test does.
        async with opened(index_url, card, MANY) as other:
            await other.search(Query(vectors[-1], 10))
            async with filled(index_url, card, vectors):
                for query in vectors[ITEMS:]:
                    await other.search(Query(query, 10))

    asyncio.run(run())
    assert graph_use(index_url)[0] >= QUERIES


def test_a_threshold_cuts_the_hits_below_it(index_url: str, card: ModelCard, vectors: Vectors) -> None:
    async def run() -> None:
        async with filled(index_url, card, vectors) as index:
            for how in (Recall.EXACT, Recall.HIGH):
                for query in vectors[ITEMS:]:
                    hits = await index.search(Query(query, 50, recall=how))
                    middle = hits[20].score
                    cut = await index.search(Query(query, 50, recall=how, min_score=middle))
                    assert cut == [hit for hit in hits if hit.score >= middle]
                    assert await index.search(Query(query, 50, recall=how, min_score=1.0)) == []

    asyncio.run(run())


def test_the_share_that_a_filter_passes_is_sampled_once_a_minute(
    index_url: str, card: ModelCard, vectors: Vectors, monkeypatch: pytest.MonkeyPatch
) -> None:
    sampled: list[int] = []
    places = search._random_places

    def counted(extent: Any) -> list[str]:
        sampled.append(extent.items)
        return places(extent)

    monkeypatch.setattr(search, "_random_places", counted)

    async def run() -> None:
        async with opened(index_url, card, exact_items=100) as index:
            await index.put(items_of(vectors[:400], [metadata(number) for number in range(400)]))
            await index.maintain()
            for filter_, hits, samples in (
                ({"part": 0, "rare": False}, 10, 1),
                ({"rare": False, "part": 0}, 10, 1),
                ({"part": 9}, 0, 2),
                ({"part": 0, "rare": False}, 10, 2),
            ):
                found = await index.search(Query(vectors[0], 10, compile_filter(filter_)))
                assert len(found) == hits
                assert len(sampled) == samples

    asyncio.run(run())
