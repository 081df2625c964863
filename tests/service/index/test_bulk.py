"""Many items at once, by COPY: the same items as one by one, in place of older ones, whoever else writes."""

import asyncio
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import psycopg
import pytest

from contract.card import ModelCard
from service.index.cells import CellGrid
from service.index.items import NewItem
from service.index.search import Query
from service.index.store import Index
from tests.service.index_session import directions, items_of, opened, tiny_card
from tests.tiny_model import GRID, UNITS

METADATA: list[dict[str, Any]] = [
    {},
    {"label": "Grüße 猫 😀", "quote": "'; --", "tab": "\t\n\\."},
    {"nested": {"list": [1, 2.5, None, True, {"a": []}]}, "large": 2**63, "small": -1e-300},
    {str(number): number for number in range(500)},
]


@pytest.fixture
def card(tiny_models: Path) -> ModelCard:
    return tiny_card(tiny_models)


def mixed(card: ModelCard, count: int, seed: int = 0) -> list[NewItem]:
    """Items with and without codes and sizes, with ids and metadata of every kind."""
    rng = np.random.default_rng(seed)
    return [
        NewItem(
            f"{['cats/', 'ü', ' ', '%', ''][number % 5]}{number}",
            vector,
            METADATA[number % len(METADATA)],
            rng.standard_normal(12).astype(np.float32) if number % 3 else None,
            *((640 + number, 480, "JPEG") if number % 2 else (None, None, None)),
        )
        for number, vector in enumerate(directions(card, count, seed))
    ]


def test_what_is_stored_together_comes_back_as_it_went_in(index_url: str, card: ModelCard) -> None:
    items = mixed(card, 300)

    async def run() -> None:
        async with opened(index_url, card) as index:
            await index.put(items)
            for item in items:
                stored = await index.get(item.id)
                assert stored is not None
                assert stored.vector.tolist() == item.vector.tolist()
                assert stored.metadata == item.metadata
                assert (stored.width, stored.height, stored.format) == (item.width, item.height, item.format)
            hits = await index.search(Query(items[0].vector, len(items), with_codes=True))
            codes = {hit.id: hit.code for hit in hits}
            for item in items:
                found = codes[item.id]
                assert (found is None) == (item.code is None)
                if found is not None and item.code is not None:
                    assert found.tolist() == item.code.tolist()

    asyncio.run(run())


def test_older_items_are_replaced_as_a_whole_and_others_left(index_url: str, card: ModelCard) -> None:
    old, new = mixed(card, 60), mixed(card, 90, seed=1)

    async def run() -> None:
        async with opened(index_url, card) as index:
            await index.put(old)
            await index.put(new[30:])
            listed = await index.list_items("", "", 1000)
            assert len(listed) == 90
            for item in [*old[:30], *new[30:]]:
                stored = await index.get(item.id)
                assert stored is not None
                assert stored.vector.tolist() == item.vector.tolist()

    asyncio.run(run())


LONG_AGO = datetime(2001, 1, 1, tzinfo=UTC)


@pytest.mark.parametrize("updated", [None, LONG_AGO])
def test_an_id_that_another_writer_stores_meanwhile_is_replaced_unless_it_is_later(
    updated: datetime | None, index_url: str, card: ModelCard
) -> None:
    items = [replace(item, updated=updated) for item in items_of(directions(card, 20))]

    def waiting(connection: psycopg.Connection) -> bool:
        return bool(
            connection.execute(
                "SELECT FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()"
            ).rowcount
        )

    async def run() -> None:
        async with opened(index_url, card) as index:
            await index.put(items[:2])
            with psycopg.connect(index_url) as other, psycopg.connect(index_url, autocommit=True) as watcher:
                other.execute(
                    "INSERT INTO infomax.items_1 (space, id, embedding, metadata) "
                    "SELECT 1, '000010', embedding, '{\"by\": \"another\"}' FROM infomax.items_1 LIMIT 1"
                )
                putting = asyncio.create_task(index.put(items))
                async with asyncio.timeout(60):
                    while not waiting(watcher):  # noqa: ASYNC110 (the database tells no one)
                        await asyncio.sleep(0)
                other.commit()
                await putting
            stored = await index.get("000010")
            assert stored is not None
            assert stored.metadata == ({} if updated is None else {"by": "another"})
            if updated is None:
                assert stored.vector.tolist() == items[10].vector.tolist()
            assert len(await index.list_items("", "", 100)) == 20
            assert [space.items for space in (await index.statistics()).spaces] == [20]

    asyncio.run(run())


def test_writers_of_the_same_ids_in_calls_of_every_size_all_succeed(index_url: str, card: ModelCard) -> None:
    items = items_of(directions(card, 40))

    async def run() -> None:
        async with opened(index_url, card) as one, opened(index_url, card) as other:
            await asyncio.gather(
                *(
                    target.put(items[start : start + size])
                    for target in (one, other)
                    for size in (1, 3, 40)
                    for start in range(0, 40, size)
                )
            )
            assert len(await one.list_items("", "", 100)) == 40

    asyncio.run(run())


@pytest.mark.parametrize("count", [1, 3])
def test_what_is_stored_with_its_time_replaces_nothing_later(
    count: int, index_url: str, card: ModelCard
) -> None:
    cells = CellGrid.of(card).pool(np.ones((UNITS, GRID, GRID), np.float32))
    old, new = (
        [replace(one, metadata={"by": by}) for one in items_of(directions(card, count))] for by in "ab"
    )
    late = [replace(one, updated=LONG_AGO, width=1, height=1, cells=cells) for one in old]

    async def stored(index: Index) -> list[object]:
        return [(await index.list_items("", "", 100))[place].metadata["by"] for place in range(count)]

    async def run() -> None:
        async with opened(index_url, card, regions=True) as index:
            await index.put(late)
            assert await stored(index) == ["a"] * count
            await index.put(new)
            await index.put(late)
            assert await stored(index) == ["b"] * count
            assert (await index.statistics()).spaces[0].cells == 0
            again = datetime.now(UTC) + timedelta(days=1)
            await index.put([replace(one, updated=again) for one in late])
            assert await stored(index) == ["a"] * count
            assert (await index.statistics()).spaces[0].items_without_regions == 0

    asyncio.run(run())


def test_nothing_to_store_asks_the_database_nothing(card: ModelCard) -> None:
    async def run() -> None:
        async with opened("postgresql://nobody@127.0.0.1:1/nothing", card) as index:
            await index.put([])

    asyncio.run(run())
