"""Numbers of items: exact after every kind of change, by every writer, and never counted row by row."""

import asyncio
from pathlib import Path

import psycopg
import pytest

from contract.card import ModelCard
from service.index import migrations, upkeep
from service.index.migrations import MIGRATIONS
from service.index.schema import migrate
from service.index.space import identity_of
from service.index.store import Index
from tests.service.index_session import directions, items_of, opened, tiny_card


@pytest.fixture
def card(tiny_models: Path) -> ModelCard:
    return tiny_card(tiny_models)


async def counted(index: Index) -> list[int]:
    return [space.items for space in (await index.statistics()).spaces]


def really(url: str) -> list[int]:
    with psycopg.connect(url) as connection:
        rows = connection.execute(
            "SELECT (SELECT count(*) FROM infomax.items WHERE space = number) "
            "FROM infomax.spaces ORDER BY number"
        ).fetchall()
    return [count for (count,) in rows]


def run_sql(url: str, statement: str) -> None:
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(statement)


BY_SQL = [
    "DELETE FROM infomax.items WHERE id < '000010'",
    "DELETE FROM infomax.items_1 WHERE id < '000020'",
    "INSERT INTO infomax.items (space, id, embedding, metadata) "
    "SELECT space, id || 'x', embedding, metadata FROM infomax.items WHERE id < '000030'",
    "INSERT INTO infomax.items_1 (space, id, embedding, metadata) "
    "SELECT space, id || 'y', embedding, metadata FROM infomax.items_1 ON CONFLICT DO NOTHING",
    "UPDATE infomax.items SET width = 1",
    "DO $$ BEGIN DELETE FROM infomax.items; RAISE EXCEPTION 'no'; EXCEPTION WHEN OTHERS THEN NULL; END $$",
    "TRUNCATE infomax.items_1",
    "TRUNCATE infomax.items",
]


def test_every_change_is_counted_whoever_makes_it(index_url: str, card: ModelCard) -> None:
    vectors = directions(card, 50)

    async def run() -> None:
        async with opened(index_url, card) as index:
            await index.put(items_of(vectors))
            assert await counted(index) == [50]
            await index.put(items_of(vectors[:10]))
            assert await counted(index) == [50]
            assert await index.delete("000049")
            assert not await index.delete("000049")
            assert await index.delete_all("00004") == 9
            assert await counted(index) == really(index_url) == [40]
            for statement in BY_SQL:
                run_sql(index_url, statement)
                assert await counted(index) == really(index_url), statement
            assert await counted(index) == [0]

    asyncio.run(run())


def test_writers_at_the_same_time_are_all_counted(index_url: str, card: ModelCard) -> None:
    vectors = directions(card, 200)

    async def run() -> None:
        async with opened(index_url, card) as one, opened(index_url, card) as other:
            items = items_of(vectors)
            # Every id by both; and every other one is removed meanwhile.
            await asyncio.gather(
                *(
                    target.put(items[start : start + 20])
                    for start in range(0, 200, 20)
                    for target in (one, other)
                ),
                *(one.delete(item.id) for item in items[::2]),
                *(target.maintain() for target in (one, other)),
            )
            assert await counted(other) == really(index_url)

    asyncio.run(run())


def test_the_parts_of_a_count_are_added_up_before_they_are_many(
    index_url: str, card: ModelCard, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(upkeep, "_MOST_PARTS", 5)

    async def run() -> None:
        async with opened(index_url, card) as index:
            for item in items_of(directions(card, 20)):
                await index.put([item])
            await asyncio.gather(*(index.maintain() for _ in range(4)))
            assert await counted(index) == [20]
            with psycopg.connect(index_url) as connection:
                assert connection.execute("SELECT change FROM infomax.item_counts").fetchall() == [(20,)]

    asyncio.run(run())


def test_statistics_and_upkeep_read_no_item(index_url: str, card: ModelCard) -> None:
    def scans(connection: psycopg.Connection) -> object:
        # What a connection has done is published at its end.
        while connection.execute(
            "SELECT FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"
        ).rowcount:
            pass
        connection.execute("SELECT pg_stat_clear_snapshot()")
        return connection.execute(
            "SELECT sum(seq_scan), sum(idx_scan) FROM pg_stat_user_tables WHERE relname ~ '^items(_\\d+)?$'"
        ).fetchone()

    async def run() -> None:
        async with opened(index_url, card) as index:
            await index.put(items_of(directions(card, 10)))
        with psycopg.connect(index_url, autocommit=True) as connection:
            before = scans(connection)
            async with opened(index_url, card) as index:
                for _ in range(3):
                    await index.statistics()
                    await index.maintain()
            assert scans(connection) == before

    asyncio.run(run())


def test_the_items_of_an_older_version_are_counted_when_it_is_replaced(
    empty_database: str, card: ModelCard, monkeypatch: pytest.MonkeyPatch
) -> None:
    identity = identity_of(card)

    def old_space(number: int, items: int) -> None:
        """What a server of the first version leaves."""
        with psycopg.connect(empty_database, autocommit=True) as connection:
            model = identity.model if number == 1 else f"other/{number}"
            connection.execute(
                "INSERT INTO infomax.spaces (model, preprocessing_sha256, encoder_sha256, dimensions) "
                "VALUES (%s, %s, %s, %s)",
                [model, identity.preprocessing_sha256, identity.encoder_sha256, identity.dimensions],
            )
            connection.execute(
                f"CREATE TABLE infomax.items_{number} PARTITION OF infomax.items FOR VALUES IN ({number})"
            )
            connection.execute(
                "INSERT INTO infomax.items (space, id, embedding, metadata) "
                "SELECT %s, 'old-' || n, '[1]', '{}' FROM generate_series(1, %s) AS n",
                [number, items],
            )

    async def statistics() -> list[int]:
        async with opened(empty_database, card) as index:
            await index.list_items("", "", 1)
            return await counted(index)

    monkeypatch.setattr("service.index.schema.MIGRATIONS", MIGRATIONS[:1])
    migrate(empty_database)
    old_space(1, 7)
    monkeypatch.setattr("service.index.schema.MIGRATIONS", migrations.MIGRATIONS)
    migrate(empty_database)
    assert asyncio.run(statistics()) == [7]
    # In a rolling update an old server may make the space of a new model after the step.
    run_sql(empty_database, "UPDATE infomax.spaces SET model = 'older/1'")
    old_space(2, 3)
    with psycopg.connect(empty_database) as connection:
        connection.execute("UPDATE infomax.spaces SET model = %s WHERE number = 2", [identity.model])
    assert asyncio.run(statistics()) == [7, 3]
