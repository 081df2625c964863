"""A read replica of PostgreSQL (hot standby): it answers searches, and says of writes that it takes none."""

import asyncio
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import psycopg
import pytest

from contract.card import ModelCard
from service.index.cluster import ENVIRONMENT, programs
from service.index.embedded import EmbeddedPostgres
from service.index.errors import IndexReadOnlyError, IndexStartError
from service.index.items import Neighbour, NewItem
from service.index.schema import migrate
from service.index.search import Query
from service.index.store import Index
from tests.service.index_session import directions, graph_use, items_of, opened, tiny_card


@pytest.fixture
def card(tiny_models: Path) -> ModelCard:
    return tiny_card(tiny_models)


def copied(primary: str, folder: Path) -> None:
    """Make a standby of the server at a URL."""
    owner = Path(parse_qs(urlsplit(primary).query)["host"][0]).stat()
    if os.geteuid() == 0:
        os.chown(folder, owner.st_uid, owner.st_gid)
        for above in folder.parents:
            above.chmod(above.stat().st_mode | 0o001)
    command = [str(programs() / "pg_basebackup"), "--pgdata", str(folder / "postgres"), "--dbname", primary]
    command += ["--write-recovery-conf", "--checkpoint=fast", "--wal-method=stream", "--no-sync"]
    done = subprocess.run(
        command,
        env=ENVIRONMENT,
        capture_output=True,
        text=True,
        user=owner.st_uid if os.geteuid() == 0 else None,
        group=owner.st_gid if os.geteuid() == 0 else None,
        extra_groups=[] if os.geteuid() == 0 else None,
    )
    assert done.returncode == 0, done.stderr


@pytest.fixture
def standby(index_url: str, card: ModelCard, tmp_path: Path) -> Iterator[str]:
    """URL of a read replica whose primary had 2,000 items and a graph when it was copied."""

    async def fill() -> None:
        async with opened(index_url, card, exact_items=100) as index:
            await index.put(items_of(directions(card, 2000)))
            await index.maintain()

    asyncio.run(fill())
    copied(index_url, tmp_path)
    with EmbeddedPostgres(tmp_path) as server:
        yield server.url.replace("/postgres?", f"{urlsplit(index_url).path}?")


def test_a_replica_answers_as_its_primary_and_follows_it(
    standby: str, index_url: str, card: ModelCard
) -> None:
    queries = directions(card, 5, seed=1)

    async def answers(index: Index) -> list[list[Neighbour]]:
        return [await index.search(Query(query, 10)) for query in queries]

    async def run() -> None:
        async with opened(index_url, card, 100) as primary, opened(standby, card, 100) as replica:
            assert await answers(replica) == await answers(primary)
            with pytest.raises(IndexReadOnlyError):
                await replica.put([NewItem("new", queries[0])])
            await primary.put([NewItem("new", queries[0])])
            async with asyncio.timeout(60):
                while (await replica.search(Query(queries[0], 1)))[0].id != "new":
                    pass

    # What a service does at its start.
    migrate(standby)
    asyncio.run(run())
    assert graph_use(standby)[0] > len(queries)
    with psycopg.connect(index_url) as connection:
        connection.execute("DELETE FROM infomax.migrations WHERE number > 1")
    with psycopg.connect(standby) as connection:
        while connection.execute("SELECT count(*) FROM infomax.migrations").fetchone() != (1,):
            connection.commit()
    with pytest.raises(IndexStartError, match="is a read-only replica without this version's tables"):
        migrate(standby)
