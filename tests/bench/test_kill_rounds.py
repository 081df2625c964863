"""What the rounds of kills count as lost, and as torn."""

import asyncio
from pathlib import Path

import numpy as np
import psycopg

from bench.kill_rounds.expected import Expected
from bench.kill_rounds.stored import torn
from service.index.cells import CellGrid
from service.index.items import NewItem
from tests.service.index_session import directions, opened, tiny_card
from tests.tiny_model import GRID, UNITS

TEARS = [
    ("DELETE FROM infomax.cells WHERE id = 'image0' AND cell = 3", "image0"),
    ("DELETE FROM infomax.cells WHERE id = 'image1'", "image1"),
    ("UPDATE infomax.cells SET local = local WHERE id = 'image2'", "image2"),
    ("UPDATE infomax.cells SET id = 'gone' WHERE id = 'image3'", "gone"),
    ("UPDATE infomax.cells SET id = 'bare' WHERE id = 'image4'", "bare"),
    ("""UPDATE infomax.items SET metadata = '{"image": true}' WHERE id = 'other'""", "other"),
    ("UPDATE infomax.item_counts SET change = change + 1", "counted"),
]


def test_an_acknowledged_change_has_to_be_there() -> None:
    expected = Expected()
    expected.begin("a", 1)
    expected.acknowledge("a", 1)
    assert expected.contradictions({"a": 1}) == []
    assert expected.contradictions({}) == ["a: None, allowed [1]"]
    assert expected.contradictions({"a": 2}) == ["a: 2, allowed [1]"]


def test_a_change_under_way_may_be_there_or_not_until_it_was_seen() -> None:
    expected = Expected()
    expected.begin("a", 1)
    expected.acknowledge("a", 1)
    expected.begin("a", None)
    expected.begin("b", 2)
    for stored in ({"a": 1}, {}, {"b": 2}, {"a": 1, "b": 2}):
        assert expected.contradictions(stored) == []
    assert expected.contradictions({"a": 2}) != []
    expected.settle({"b": 2})
    assert expected.contradictions({"b": 2}) == []
    assert len(expected.contradictions({"a": 1})) == 2


def test_an_acknowledged_removal_stays_and_strangers_are_noticed() -> None:
    expected = Expected()
    expected.begin("a", 1)
    expected.acknowledge("a", 1)
    expected.acknowledge("a", None)
    assert expected.contradictions({}) == []
    assert len(expected.contradictions({"a": 1, "stranger": 3})) == 2


def test_cells_that_were_not_stored_with_their_image_are_noticed(index_url: str, tiny_models: Path) -> None:
    card = tiny_card(tiny_models)
    cells = CellGrid.of(card).pool(np.ones((UNITS, GRID, GRID), np.float32))
    vectors = directions(card, 7)
    images = [
        NewItem(f"image{number}", vector, {"image": True}, width=1, height=1, cells=cells)
        for number, vector in enumerate(vectors[:5])
    ]
    bare = [
        NewItem(name, vector, {"image": False})
        for name, vector in zip(("bare", "other"), vectors[5:], strict=True)
    ]

    async def put() -> None:
        async with opened(index_url, card, regions=True) as index:
            await index.put(images)
            await index.put(bare)
            await index.put(images[:1])

    asyncio.run(put())
    assert torn(index_url, GRID * GRID) == []
    for statement, name in TEARS:
        before = torn(index_url, GRID * GRID)
        with psycopg.connect(index_url) as connection:
            connection.execute(statement)
        assert any(name in wrong for wrong in set(torn(index_url, GRID * GRID)) - set(before)), statement
