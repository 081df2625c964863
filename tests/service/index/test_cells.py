"""Cells of items: stored with them in one transaction, and gone with what they were made of."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import numpy as np
import psycopg
import pytest
from numpy.typing import NDArray

from contract.card import ModelCard
from contract.patches import PatchGrid
from service.index.cells import CellGrid
from service.index.database import Database
from service.index.items import NewItem
from service.index.store import Index
from service.index_jobs.access import connected
from service.index_jobs.spaces import drop_space, list_spaces
from tests.service.index_session import MANY, directions, opened, tiny_card
from tests.tiny_model import GRID, UNITS


@pytest.fixture
def card(tiny_models: Path) -> ModelCard:
    return tiny_card(tiny_models)


def with_cells(card: ModelCard, count: int, seed: int = 0) -> list[NewItem]:
    rng = np.random.default_rng(seed)
    return [
        NewItem(
            f"{number:06}",
            vector,
            width=32,
            height=32,
            cells=CellGrid.of(card).pool(rng.standard_normal((UNITS, GRID, GRID)).astype(np.float32)),
        )
        for number, vector in enumerate(directions(card, count, seed))
    ]


def stored(url: str) -> dict[str, NDArray[np.float32]]:
    """Cells by the ids of their items."""
    found: dict[str, list[list[float]]] = {}
    with psycopg.connect(url) as connection:
        for item_id, cell in connection.execute(
            "SELECT id, local::vector::real[] FROM infomax.cells ORDER BY id, cell"
        ):
            found.setdefault(item_id, []).append(cell)
    return {item_id: np.array(cells, np.float32) for item_id, cells in found.items()}


def run_sql(url: str, statement: str) -> None:
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(statement)


@asynccontextmanager
async def opened_twice(url: str, card: ModelCard) -> AsyncIterator[tuple[Index, Index]]:
    async with opened(url, card, regions=True) as one, opened(url, card, regions=True) as other:
        yield one, other


async def counted(index: Index) -> int:
    (space,) = (await index.statistics()).spaces
    assert (space.cells == 0) or (space.cell_bytes > 0)
    return space.cells


def test_cells_are_stored_as_they_are_by_one_and_by_many(index_url: str, card: ModelCard) -> None:
    items = with_cells(card, 5)

    async def run() -> None:
        async with opened(index_url, card, regions=True) as index:
            await index.put(items[:1])
            await index.put(items[1:])
            assert await counted(index) == 5 * GRID * GRID

    asyncio.run(run())
    found = stored(index_url)
    assert list(found) == [item.id for item in items]
    for item in items:
        assert item.cells is not None
        np.testing.assert_array_equal(found[item.id], item.cells.astype(np.float32))


BY_SQL = [
    ("UPDATE infomax.items SET metadata = '{}', updated = now()", 6),
    ("DELETE FROM infomax.items WHERE id = '000009'", 5),
    ("DELETE FROM infomax.items_1 WHERE id = '000008'", 4),
    ("UPDATE infomax.items SET width = NULL WHERE id = '000007'", 3),
    ("UPDATE infomax.items_1 SET embedding = embedding + embedding WHERE id = '000006'", 2),
    ("TRUNCATE infomax.items_1", 0),
]


def test_what_is_overwritten_or_deleted_leaves_no_cells(index_url: str, card: ModelCard) -> None:
    items = with_cells(card, 10)
    bare = [NewItem(item.id, item.vector) for item in items]

    async def run() -> None:
        async with opened(index_url, card, regions=True) as index:
            await index.put(items)
            await index.put(with_cells(card, 10, seed=1)[:4])
            assert await counted(index) == 10 * GRID * GRID
            assert set(stored(index_url)) == {item.id for item in items}
            await index.put(bare[:1])
            await index.put(bare[1:3])
            await index.delete(items[3].id)
            await index.delete_all("000004")
            # A server that keeps no cells does not know of them.
            async with opened(index_url, card) as other:
                await other.put([bare[5]])
            left = {item.id for item in items[6:]}
            assert set(stored(index_url)) == left
            await index.put(items[:2])
            for statement, rest in BY_SQL:
                run_sql(index_url, statement)
                assert len(stored(index_url)) == rest, statement
                assert await counted(index) == rest * GRID * GRID, statement

    asyncio.run(run())


def test_cells_stay_with_their_vector_where_a_server_without_regions_stores_the_image_again(
    index_url: str, card: ModelCard
) -> None:
    items = with_cells(card, 12)
    same = [replace(item, cells=None, metadata={"again": 1}) for item in items[:6]]
    other = [replace(item, cells=None) for item in with_cells(card, 12, seed=1)[6:10]]

    async def run() -> None:
        async with opened(index_url, card, regions=True) as index, opened(index_url, card) as without:
            await index.put(items)
            before = stored(index_url)
            await without.put([same[0]])
            await without.put([other[0]])
            # Together: images of every kind, new ones, and one that brings cells of its own.
            renewed = with_cells(card, 12, seed=1)[11]
            await without.put([*same[1:], *other[1:], renewed, replace(same[0], id="new")])
            left = [item.id for item in (*same, items[10])]
            after = stored(index_url)
            assert sorted(after) == sorted([*left, renewed.id])
            for name in left:
                np.testing.assert_array_equal(after[name], before[name])
            assert await counted(index) == 8 * GRID * GRID
            assert len(await index.list_items("", "", 100)) == 13
            found = await index.get(same[3].id)
            assert found is not None
            assert found.metadata == {"again": 1}

    asyncio.run(run())


def test_a_put_that_fails_keeps_the_older_cells(index_url: str, card: ModelCard) -> None:
    older, newer = with_cells(card, 2), with_cells(card, 2, seed=1)

    async def run() -> None:
        async with opened(index_url, card, regions=True) as index:
            await index.put(older)
            before = stored(index_url)
            assert newer[1].cells is not None
            wrong = replace(newer[1], cells=newer[1].cells[:, :-1])
            for items in ([wrong], [newer[0], wrong]):
                with pytest.raises(psycopg.errors.CheckViolation):
                    await index.put(items)
            np.testing.assert_equal(stored(index_url), before)

    asyncio.run(run())


def test_writers_of_one_id_leave_the_cells_of_the_last(index_url: str, card: ModelCard) -> None:
    async def run() -> None:
        async with opened_twice(index_url, card) as (one, other):
            versions = [with_cells(card, 3, seed) for seed in range(10)]
            await asyncio.gather(
                *([one, other][seed % 2].put(items[: 1 + seed % 3]) for seed, items in enumerate(versions))
            )
            assert await counted(one) == 3 * GRID * GRID
            found = stored(index_url)
            for number, (item_id, cells) in enumerate(found.items()):
                item = await one.get(item_id)
                assert item is not None
                (version,) = [items for items in versions if np.allclose(items[number].vector, item.vector)]
                wanted = version[number].cells
                assert wanted is not None
                np.testing.assert_array_equal(cells, wanted.astype(np.float32))

    asyncio.run(run())


def test_a_dropped_space_takes_its_cells_along(index_url: str, card: ModelCard) -> None:
    async def run() -> None:
        async with opened(index_url, card, regions=True) as index:
            await index.put(with_cells(card, 2))
        async with connected(index_url) as connection:
            (space,) = await list_spaces(connection)
            assert space.statistics.cells == 2 * GRID * GRID
            await drop_space(connection, space.space)
        assert not stored(index_url)
        async with opened(index_url, card, regions=True) as index:
            await index.put(with_cells(card, 1))
            assert await counted(index) == GRID * GRID

    asyncio.run(run())


def test_cells_get_a_graph_of_their_own(index_url: str, card: ModelCard) -> None:
    async def run() -> None:
        database = Database(index_url)
        await database.open()
        index = Index(database, card, exact_items=100, regions=True)
        await index.put(with_cells(card, 3))
        await index.maintain()
        (space,) = (await index.statistics()).spaces
        assert (space.search, space.cell_search) == ("exact", "hnsw")
        await database.close()

    asyncio.run(run())


def test_a_server_without_regions_makes_no_room_for_cells(index_url: str, card: ModelCard) -> None:
    async def run() -> None:
        async with opened(index_url, card, MANY) as index:
            await index.put(directions_only(card))

    asyncio.run(run())
    with psycopg.connect(index_url) as connection:
        row = connection.execute("SELECT to_regclass('infomax.cells_1')").fetchone()
    assert row == (None,)


def directions_only(card: ModelCard) -> list[NewItem]:
    return [NewItem(str(number), vector) for number, vector in enumerate(directions(card, 3))]


def test_patches_are_pooled_by_their_mean() -> None:
    local = np.random.default_rng(0).standard_normal((5, 14, 14)).astype(np.float32)
    grid = CellGrid(PatchGrid(rows=14, columns=14, stride=16, receptive_field=448, first_centre=8))
    cells = grid.pool(local)
    assert (grid.rows, grid.columns, cells.shape) == (7, 7, (49, 5))
    mean = local[:, 2:4, 4:6].mean(axis=(1, 2))
    np.testing.assert_allclose(cells[7 + 2], mean / np.linalg.norm(mean), atol=1e-3)


@pytest.mark.parametrize("side", [1, 7, 8, 9, 15, 18])
def test_cells_cover_every_patch_and_no_other(side: int) -> None:
    grid = CellGrid(PatchGrid(rows=side, columns=side, stride=10, receptive_field=30, first_centre=5))
    for edges in grid.edges_in_patches:
        assert (edges[0], edges[-1]) == (0, side)
        assert (np.diff(edges) > 0).all()
        assert len(edges) == grid.rows + 1 <= 9
    assert grid.pool(np.ones((2, side, side), np.float32)).shape == (grid.rows * grid.columns, 2)
