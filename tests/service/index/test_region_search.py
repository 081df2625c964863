"""Search by region: scores and places of known cells, and the ways to the candidates."""

import asyncio
from pathlib import Path

import numpy as np
import psycopg
import pytest
from numpy.typing import NDArray

from contract.card import ModelCard
from contract.patches import PatchGrid
from contract.placement import place
from contract.preprocessing import Preprocessing
from service.index import region_statements
from service.index.cells import CellGrid
from service.index.database import Database
from service.index.filters import compile_filter
from service.index.items import NewItem
from service.index.region_matching import (
    MOST_CODES,
    LocalCodes,
    Rectangle,
    Region,
    places,
    scores,
    to_patches,
    to_pixels,
)
from service.index.region_statements import RegionQuery, effort, fewest_to_walk, ranked
from service.index.search_plan import Recall
from service.index.store import Index
from tests.service.index_session import directions, graph_use, opened, tiny_card
from tests.tiny_model import GRID, UNITS

PATCHES = PatchGrid(rows=14, columns=14, stride=16, receptive_field=448, first_centre=8)
CELLS = CellGrid(PATCHES)


@pytest.fixture
def card(tiny_models: Path) -> ModelCard:
    return tiny_card(tiny_models)


def local(seed: int, units: int = 16, side: int = 14) -> NDArray[np.float32]:
    return np.random.default_rng(seed).standard_normal((units, side, side)).astype(np.float32)


def region_of(codes: NDArray[np.float32], box: Rectangle) -> Region:
    return Region(LocalCodes.of_patches(codes).inside(box), box)


def test_the_score_is_the_mean_of_the_best_cosines() -> None:
    region = region_of(local(0), Rectangle(2, 2, 5, 5))
    item = CELLS.pool(local(1)).astype(np.float32)
    by_hand = [max(float(code @ cell) for cell in item) for code in region.codes.codes]
    assert len(by_hand) == 9
    np.testing.assert_allclose(scores(region, [item]), [np.mean(by_hand)], atol=1e-6)
    assert scores(region, []).size == 0


@pytest.mark.parametrize(("down", "across"), [(0, 0), (8, 4), (4, -2)])
def test_the_place_is_where_the_whole_part_was_moved_to(down: int, across: int) -> None:
    # Neighbouring patches are alike, as in a photograph.
    part, item = np.repeat(np.repeat(local(0, side=3), 2, axis=1), 2, axis=2), local(1)
    query = local(2)
    query[:, 0:6, 4:10] = part
    item[:, down : down + 6, 4 + across : 10 + across] = part
    region = region_of(query, Rectangle(4, 0, 10, 6))
    (found,) = places(region, [CELLS.pool(item).astype(np.float32)], CELLS)
    assert found == Rectangle(4 + across, down, 10 + across, down + 6)


def test_codes_of_a_large_region_are_spread_over_it() -> None:
    codes = LocalCodes.of_patches(local(0)).inside(Rectangle(0, 0, 14, 14))
    assert len(codes.codes) == MOST_CODES
    assert codes.centres.min() < 1
    assert codes.centres.max() > 13
    np.testing.assert_allclose(np.linalg.norm(codes.codes, axis=1), 1, atol=1e-6)


def test_a_region_between_middles_takes_the_nearest_patch() -> None:
    codes = LocalCodes.of_patches(local(0)).inside(Rectangle(3.6, 7.6, 3.9, 7.9))
    assert codes.centres.tolist() == [[7.5, 3.5]]


@pytest.mark.parametrize("rule", ["stretch", "center_crop", "letterbox"])
def test_patches_and_pixels_convert_both_ways(rule: str) -> None:
    preprocessing = Preprocessing.model_validate({"height": 224, "width": 224, "resize_rule": rule})
    placement = place(preprocessing, (600, 300))
    box = Rectangle(200, 100, 400, 200)
    inside = to_patches(box, PATCHES, placement)
    back = to_pixels(inside, PATCHES, placement)
    np.testing.assert_allclose(
        [back.left, back.top, back.right, back.bottom], [200, 100, 400, 200], atol=1e-6
    )
    edge = to_patches(Rectangle(0, 0, 40, 300), PATCHES, placement)
    assert edge.is_empty == (rule == "center_crop")


def test_what_a_list_lacks_counts_as_its_least() -> None:
    rows = [(1, "a", 0.9), (1, "b", 0.5), (2, "a", 0.1), (2, "b", 0.8), (2, "c", 0.7), (2, "c", 0.6)]
    # a: 0.9 + 0.1; b: 0.5 + 0.8; c: 0.5, which it has at most, + 0.7.
    assert ranked(rows, 2) == ["b", "c", "a"]
    assert ranked([], 2) == []


@pytest.mark.parametrize("recall", [Recall.HIGH, Recall.FAST])
def test_candidates_follow_the_number_of_cells_and_of_hits(recall: Recall) -> None:
    few, more, many = (effort(recall, 10, cells) for cells in (0, 10**6, 10**8))
    assert effort(recall, 10, 100_000) == few
    assert few.breadth < more.breadth < many.breadth
    assert few.spare < more.spare <= many.spare
    # Less than the cells themselves: a search of many items stays a search by the graph.
    assert many.breadth < 100 * few.breadth
    assert effort(recall, 1000, 0).breadth > few.breadth


def test_the_graph_is_walked_where_many_pass() -> None:
    few, many = fewest_to_walk(1000, 32, 100, 49), fewest_to_walk(1_000_000, 32, 100, 49)
    assert few < 1000
    assert many < 100_000
    assert fewest_to_walk(1_000_000, 32, 1000, 49) > many


def stored_items(card: ModelCard, count: int) -> list[NewItem]:
    """Items of images, whose projections are `local` of their number."""
    grid = CellGrid.of(card)
    return [
        NewItem(
            f"{number:02}",
            vector,
            {"odd": number % 2},
            width=32,
            height=32,
            cells=grid.pool(local(number, UNITS, GRID)),
        )
        for number, vector in enumerate(directions(card, count))
    ]


CHANGES = ["UPDATE infomax.items SET metadata = '{\"odd\": 0}'", "DELETE FROM infomax.items"]


@pytest.mark.parametrize("change", CHANGES)
def test_what_changes_during_a_search_is_as_it_was_before(
    change: str, index_url: str, card: ModelCard, monkeypatch: pytest.MonkeyPatch
) -> None:
    candidates = region_statements.RegionStatements.candidates

    async def change_after(statements: region_statements.RegionStatements) -> list[str]:
        found = await candidates(statements)
        async with await psycopg.AsyncConnection.connect(index_url) as other:
            await other.execute(change)
        return found

    async def run() -> None:
        async with opened(index_url, card, regions=True) as index:
            await index.put(stored_items(card, 10))
            query = RegionQuery(
                region_of(local(1, UNITS, GRID), Rectangle(0, 0, 4, 4)), 5, compile_filter({"odd": 1})
            )
            before = await index.search_region(query)
            assert len(before.hits) == 5
            with monkeypatch.context() as patched:
                patched.setattr(region_statements.RegionStatements, "candidates", change_after)
                assert await index.search_region(query) == before
            assert (await index.search_region(query)).hits == []

    asyncio.run(run())


def test_an_item_has_a_score_of_one_to_itself(index_url: str, card: ModelCard) -> None:
    grid = CellGrid.of(card)

    async def run() -> None:
        async with opened(index_url, card, regions=True) as index:
            await index.put(stored_items(card, 30))
            for number in range(30):
                found = await index.cells(f"{number:02}")
                assert found is not None
                np.testing.assert_allclose(np.linalg.norm(found.cells, axis=1), 1, atol=1e-6)
                codes = LocalCodes.of_cells(found.cells, grid)
                box = Rectangle(0, 0, 4, 4)
                (first, *_) = (await index.search_region(RegionQuery(Region(codes.inside(box), box), 5))).hits
                assert first.id == f"{number:02}"
                assert first.score == pytest.approx(1, abs=1e-6)

    asyncio.run(run())


@pytest.mark.parametrize("fewest", [1, 10**6])
def test_a_filter_holds_on_either_way(
    fewest: int, index_url: str, card: ModelCard, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(region_statements, "fewest_to_walk", lambda *_: fewest)
    items = stored_items(card, 60)

    async def run() -> None:
        database = Database(index_url)
        await database.open()
        index = Index(database, card, exact_items=100, regions=True)
        await index.put(items)
        await index.maintain()
        for seed in range(10):
            region = region_of(local(seed, UNITS, GRID), Rectangle(0, 0, 4, 4))
            for condition in (compile_filter({"odd": 1}), compile_filter({"odd": 2})):
                exact = RegionQuery(region, 5, condition, Recall.EXACT)
                found = await index.search_region(RegionQuery(region, 5, condition))
                assert found == await index.search_region(exact)
                assert all(hit.metadata == {"odd": 1} for hit in found.hits)
        await database.close()

    asyncio.run(run())
    assert (graph_use(index_url, "cells_1_hnsw")[0] > 0) == (fewest == 1)
