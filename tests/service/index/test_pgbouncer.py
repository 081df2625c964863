"""The index behind PgBouncer in transaction mode: it answers the same, and leaves nothing of a session."""

import asyncio
import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import parse_qs, quote, urlsplit

import numpy as np
import psycopg
import pytest

from contract.card import ModelCard
from service.index.cells import CellGrid
from service.index.database import Database
from service.index.filters import compile_filter
from service.index.items import Metadata, NewItem
from service.index.pooler import behind_pooler
from service.index.region_matching import LocalCodes, Rectangle, Region
from service.index.region_statements import RegionQuery
from service.index.search import Query
from service.index.store import Index
from service.index_jobs.access import connected
from service.system.run_folder import RunFolder
from tests.service.index_session import directions, items_of, tiny_card
from tests.tiny_model import GRID, UNITS

PGBOUNCER = shutil.which("pgbouncer", path=f"{os.defpath}:/usr/sbin")

pytestmark = pytest.mark.skipif(PGBOUNCER is None, reason="PgBouncer is not installed")

CONFIGURATION = """
[databases]
{database} = host={server} user=postgres

[pgbouncer]
listen_port = 5432
unix_socket_dir = {folder}
auth_type = any
pool_mode = transaction
default_pool_size = 2
"""


@pytest.fixture
def pooled_url(index_url: str) -> Iterator[str]:
    """URL of a PgBouncer with two connections to the index's database."""
    parts = urlsplit(index_url)
    server, database = parse_qs(parts.query)["host"][0], parts.path[1:]
    owner = Path(server).stat()
    with RunFolder() as run:
        folder = run.path
        os.chown(folder, owner.st_uid, owner.st_gid)
        file = folder / "pgbouncer.ini"
        file.write_text(CONFIGURATION.format(database=database, server=server, folder=folder))
        assert PGBOUNCER is not None
        process = subprocess.Popen(
            [PGBOUNCER, "--quiet", str(file)],
            user=owner.st_uid if os.geteuid() == 0 else None,
            group=owner.st_gid if os.geteuid() == 0 else None,
            extra_groups=[] if os.geteuid() == 0 else None,
            stderr=subprocess.DEVNULL,
        )
        url = f"postgresql://postgres@/{database}?host={quote(str(folder))}"
        try:
            while True:
                assert process.poll() is None, "PgBouncer has ended"
                try:
                    psycopg.connect(url).close()
                    break
                except psycopg.OperationalError:
                    continue
            yield url
        finally:
            process.terminate()
            process.wait()


@pytest.fixture
def card(tiny_models: Path) -> ModelCard:
    return tiny_card(tiny_models)


def test_items_graph_and_filters_work_and_no_session_state_is_left(
    pooled_url: str, index_url: str, card: ModelCard
) -> None:
    vectors = directions(card, 400)
    metadata: list[Metadata] = [{"even": number % 2 == 0} for number in range(400)]

    async def run() -> None:
        one, other = Database(pooled_url, 5), Database(pooled_url, 5)
        await asyncio.gather(one.open(), other.open())
        indexes = [Index(database, card, exact_items=100) for database in (one, other)]
        try:
            items = items_of(vectors, metadata)
            await asyncio.gather(
                *(indexes[n % 2].put(items[n * 40 : (n + 1) * 40]) for n in range(10)),
                indexes[0].put(items[:1]),
            )
            await nothing_is_left()
            # Both at once: one of them builds.
            built = await asyncio.gather(*(index.maintain() for index in indexes), return_exceptions=True)
            assert None in built
            (space,) = (await indexes[1].statistics()).spaces
            assert (space.items, space.search) == (400, "hnsw")

            async def check(place: int) -> None:
                hits = await indexes[place % 2].search(
                    Query(vectors[place], 10, compile_filter({"even": True}))
                )
                scores = vectors[::2] @ vectors[place]
                assert [hit.score for hit in hits] == pytest.approx(np.sort(scores)[::-1][:10], abs=1e-6)

            await asyncio.gather(*map(check, range(20)))
            async with connected(pooled_url) as connection, connection.transaction():
                cursor = await connection.execute("SELECT count(*) FROM infomax.items")
                assert await cursor.fetchone() == (400,)
            await nothing_is_left()
        finally:
            await asyncio.gather(one.close(), other.close())

    async def nothing_is_left() -> None:
        with psycopg.connect(index_url) as direct:
            locks = direct.execute("SELECT count(*) FROM pg_locks WHERE locktype = 'advisory'").fetchone()
        assert locks == (0,)
        # All connections of the pool at once, each in a transaction.
        connections = [await psycopg.AsyncConnection.connect(pooled_url) for _ in range(2)]
        for connection in connections:
            cursor = await connection.execute(
                "SELECT current_setting('statement_timeout'), current_setting('hnsw.ef_search', true)"
            )
            timeout, breadth = await cursor.fetchone() or (None, None)
            assert timeout == "0"
            assert breadth in (None, "40")
        for connection in connections:
            await connection.rollback()
            await connection.close()

    asyncio.run(run())


def test_regions_are_found_with_one_connection_for_all_statements(
    pooled_url: str, index_url: str, card: ModelCard
) -> None:
    grid = CellGrid.of(card)
    rng = np.random.default_rng(0)
    codes = rng.standard_normal((40, UNITS, GRID, GRID)).astype(np.float32)
    items = [
        NewItem(
            f"{number:02}", vector, {"odd": number % 2}, width=8, height=8, cells=grid.pool(codes[number])
        )
        for number, vector in enumerate(directions(card, 40))
    ]
    box = Rectangle(0, 0, 3, 3)

    async def run() -> None:
        database = Database(pooled_url, 5)
        await database.open()
        index = Index(database, card, exact_items=100, regions=True)
        await index.put(items)
        await index.maintain()

        async def first(number: int) -> str:
            region = Region(LocalCodes.of_patches(codes[number]).inside(box), box)
            found = await index.search_region(RegionQuery(region, 5, compile_filter({"odd": number % 2})))
            assert len(found.hits) == 5
            return found.hits[0].id

        # More at once than the pooler has connections.
        found = await asyncio.gather(*map(first, range(40)))
        assert found == [item.id for item in items]
        await database.close()
        with psycopg.connect(pooled_url) as connection:
            row = connection.execute("SHOW transaction_isolation").fetchone()
        assert row == ("read committed",)

    asyncio.run(run())


def test_a_pooler_is_told_from_a_server(pooled_url: str, index_url: str) -> None:
    async def is_pooled(url: str) -> bool:
        async with await psycopg.AsyncConnection.connect(url) as connection:
            return await behind_pooler(connection)

    assert asyncio.run(is_pooled(pooled_url))
    assert not asyncio.run(is_pooled(index_url))
