"""Recall of the live graph, as it is published: what was found of what an exact search finds."""

import asyncio
from pathlib import Path

import numpy as np
import pytest
from prometheus_client import REGISTRY
from psycopg import sql

from contract.card import ModelCard
from service.index import queries, recall_sample
from service.index.search import Query
from service.index.search_plan import SPARE_CANDIDATES, Recall
from tests.service.index_session import directions, items_of, opened, tiny_card

ITEMS, K = 300, 10


@pytest.fixture
def card(tiny_models: Path) -> ModelCard:
    # Metrics of this module's own.
    return tiny_card(tiny_models).model_copy(update={"name": "recalled"})


def published() -> tuple[float, float]:
    """True neighbours, and those found."""
    names = ("infomax_index_recall_true_total", "infomax_index_recall_found_total")
    found = [REGISTRY.get_sample_value(name, {"model": "recalled"}) or 0.0 for name in names]
    return found[0], found[1]


def test_a_search_is_counted_with_what_the_graph_has_missed(
    index_url: str, card: ModelCard, monkeypatch: pytest.MonkeyPatch
) -> None:
    # A graph that knows the first items alone, as one that has lost the others.
    worse = queries.APPROXIMATE.as_string(None).replace("{half_embedding} <#> {half_vector}", "id")
    worse = "/* {half_embedding} {half_vector} */" + worse
    monkeypatch.setattr(queries, "APPROXIMATE", sql.SQL(worse))
    monkeypatch.setattr("service.index.upkeep._EVERY_SECONDS", 0.01)
    vectors = directions(card, ITEMS)
    query = directions(card, 1, seed=1)[0]
    scores = vectors @ query
    found = len(set(np.argsort(-scores)[:K]) & set(range(K + SPARE_CANDIDATES)))
    assert found < K
    before = published()

    async def run() -> None:
        async with opened(index_url, card, exact_items=100) as index:
            await index.put(items_of(vectors))
            # Without a graph there is nothing to sample, and an exact search says nothing of one.
            await index.search(Query(query, K))
            await index.maintain()
            await index.search(Query(query, K, recall=Recall.EXACT))
            assert published() == before
            await index.search(Query(query, K, min_score=0.99))
            async with asyncio.timeout(60):
                while published() == before:
                    await index.statistics()

    asyncio.run(run())
    after = published()
    assert (after[0] - before[0], after[1] - before[1]) == (K, found)


def test_samples_take_a_thousandth_of_the_time_and_one_a_minute_at_most() -> None:
    assert recall_sample.pause(0.001) == 60
    assert recall_sample.pause(2.0) == 2000
