"""`pg_dump` and `pg_restore`, as operations.md has them: the restored index answers the same."""

import asyncio
import os
import subprocess
from dataclasses import replace
from pathlib import Path

import numpy as np
import psycopg
import pytest

from contract.card import ModelCard
from service.index.cluster import ENVIRONMENT, programs
from service.index.embedded import EmbeddedPostgres
from service.index.items import Neighbour, NewItem
from service.index.schema import migrate
from service.index.search import Query
from tests.service.index_session import directions, graph_use, items_of, opened, tiny_card


@pytest.fixture
def card(tiny_models: Path) -> ModelCard:
    return tiny_card(tiny_models)


def run_program(name: str, *arguments: object) -> None:
    command = [str(programs() / name), *map(str, arguments)]
    environment = {**os.environ, **ENVIRONMENT}
    done = subprocess.run(command, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_a_restored_dump_has_the_items_their_counts_and_the_graph(
    index_url: str, postgres: EmbeddedPostgres, card: ModelCard, tmp_path: Path
) -> None:
    vectors = directions(card, 1500)
    items = items_of(vectors)
    cells = np.eye(card.shapes.critic_units, dtype=np.float16)
    items[7] = NewItem(
        "000007", vectors[7], {"é": [1]}, thumbnail=b"\0\1", original=b"\xff" * 1000, cells=cells
    )
    queries = directions(card, 5, seed=1)

    async def answers(url: str) -> list[list[Neighbour]]:
        async with opened(url, card, exact_items=100) as index:
            return [await index.search(Query(query, 10)) for query in queries]

    async def fill() -> None:
        async with opened(index_url, card, exact_items=100, regions=True) as index:
            await index.put(items)
            await index.maintain()

    asyncio.run(fill())
    dump = tmp_path / "infomax.dump"
    run_program("pg_dump", "--format=custom", f"--file={dump}", index_url)
    with psycopg.connect(postgres.url, autocommit=True) as connection:
        connection.execute("CREATE DATABASE restored")
    restored = postgres.url.replace("/postgres?", "/restored?")
    try:
        run_program("pg_restore", "--clean", "--if-exists", f"--dbname={restored}", dump)
        # What the next start of a service does.
        migrate(restored)
        assert asyncio.run(answers(restored)) == asyncio.run(answers(index_url))
        # The upkeep may repeat one of them, to sample the recall.
        assert graph_use(restored)[0] >= len(queries)

        async def go_on() -> None:
            async with opened(restored, card) as index:
                assert (await index.statistics()).spaces[0].items == len(items)
                pictures = (await index.pictures(["000007"]))["000007"]
                assert (pictures.thumbnail, pictures.original) == (b"\0\1", b"\xff" * 1000)
                assert (await index.statistics()).spaces[0].cells == len(cells)
                await index.put([replace(items[7], cells=None)])
                assert (await index.statistics()).spaces[0].cells == 0
                await index.put([NewItem("new", queries[0])])
                assert (await index.search(Query(queries[0], 1)))[0].id == "new"
                assert (await index.statistics()).spaces[0].items == len(items) + 1
            # A further model gets a space of its own: numbers go on where they were.
            later = card.model_copy(update={"version": 2})
            async with opened(restored, later) as index:
                await index.put(items[:3])
                assert [one.items for one in (await index.statistics()).spaces] == [len(items) + 1, 3]

        asyncio.run(go_on())
    finally:
        with psycopg.connect(postgres.url, autocommit=True) as connection:
            connection.execute("DROP DATABASE restored WITH (FORCE)")
