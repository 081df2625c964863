"""The embedded PostgreSQL: it comes back with what it held, whatever was done to it."""

import asyncio
import os
import signal
import stat
import subprocess
import sys
import textwrap
from pathlib import Path

import psycopg
import pytest
from psycopg.conninfo import conninfo_to_dict

from contract.card import ModelCard
from service.index.embedded import EmbeddedPostgres
from service.index.errors import IndexStartError, IndexUnavailableError
from service.index.schema import migrate
from service.index.search import Query
from tests.service.index_session import directions, items_of, opened, opened_with_database, tiny_card


@pytest.fixture
def card(tiny_models: Path) -> ModelCard:
    return tiny_card(tiny_models)


def scalar(url: str, statement: str) -> object:
    with psycopg.connect(url) as connection:
        row = connection.execute(statement).fetchone()
    return row[0] if row else None


def test_items_are_on_the_disk_and_survive_a_restart(tmp_path: Path, card: ModelCard) -> None:
    vectors = directions(card, 10)

    async def fill(url: str) -> None:
        async with opened(url, card) as index:
            await index.put(items_of(vectors))

    async def found(url: str) -> list[str]:
        async with opened(url, card) as index:
            return [(await index.search(Query(vector, 1)))[0].id for vector in vectors]

    with EmbeddedPostgres(tmp_path) as server:
        for setting in ("fsync", "synchronous_commit", "full_page_writes", "data_checksums"):
            assert scalar(server.url, f"SHOW {setting}") == "on"
        migrate(server.url)
        asyncio.run(fill(server.url))
    with EmbeddedPostgres(tmp_path) as server:
        migrate(server.url)
        assert asyncio.run(found(server.url)) == [f"{number:06}" for number in range(10)]


def test_nobody_else_can_reach_it(postgres: EmbeddedPostgres) -> None:
    assert scalar(postgres.url, "SHOW listen_addresses") == ""
    sockets = sockets_of(postgres.url)
    assert scalar(postgres.url, "SHOW unix_socket_directories") == f'"{sockets}"'
    for closed in (sockets, postgres.folder / "postgres"):
        assert stat.S_IMODE(closed.stat().st_mode) == stat.S_IRWXU
    assert sockets.stat().st_uid == (postgres.folder / "postgres").stat().st_uid


def test_a_folder_in_use_is_refused_and_left_alone(postgres: EmbeddedPostgres) -> None:
    with pytest.raises(IndexStartError, match=r"in use by another Infomax\. Set INFOMAX_DATA_DIR"):
        EmbeddedPostgres(postgres.folder).start()
    assert scalar(postgres.url, "SELECT 1") == 1


def test_a_folder_that_cannot_hold_it_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(IndexStartError, match="INFOMAX_DATA_DIR"):
        EmbeddedPostgres(tmp_path / "file" / "index").start()


def test_a_cluster_of_another_version_is_refused(tmp_path: Path) -> None:
    (tmp_path / "postgres").mkdir()
    (tmp_path / "postgres" / "PG_VERSION").write_text("9\n")
    with pytest.raises(IndexStartError, match="made by PostgreSQL 9"):
        EmbeddedPostgres(tmp_path).start()


def test_a_set_up_that_was_cut_short_is_done_again(tmp_path: Path) -> None:
    (tmp_path / "postgres.new").mkdir()
    (tmp_path / "postgres.new" / "PG_VERSION").write_text("18\n")
    with EmbeddedPostgres(tmp_path) as server:
        assert scalar(server.url, "SELECT 1") == 1


def test_a_killed_server_is_started_again_and_the_index_recovers(tmp_path: Path, card: ModelCard) -> None:
    vectors = directions(card, 5)

    async def run(server: EmbeddedPostgres) -> None:
        async with opened_with_database(server.url, card) as (database, index):
            await index.put(items_of(vectors))
            killed = server.pid
            assert killed is not None
            os.kill(killed, signal.SIGKILL)
            async with asyncio.timeout(60):
                while server.pid in (killed, None) or not await database.healthy():
                    await asyncio.to_thread(os.sched_yield)
            assert len(await index.search(Query(vectors[0], 10))) == 5

    with EmbeddedPostgres(tmp_path) as server:
        migrate(server.url)
        asyncio.run(run(server))


def test_while_the_database_is_away_requests_fail_by_code_and_succeed_after(
    index_url: str, card: ModelCard
) -> None:
    vectors = directions(card, 5)
    sockets = sockets_of(index_url)
    elsewhere = sockets.with_suffix(".away")

    def take_away() -> None:
        sockets.rename(elsewhere)
        with psycopg.connect(index_url.replace(str(sockets), str(elsewhere))) as connection:
            connection.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
                "WHERE datname = current_database() AND pid <> pg_backend_pid()"
            )

    async def run() -> None:
        async with opened_with_database(index_url, card) as (database, index):
            await index.put(items_of(vectors))
            assert await database.healthy()
            take_away()
            try:
                assert not await database.healthy()
                with pytest.raises(IndexUnavailableError) as refusal:
                    await index.search(Query(vectors[0], 5))
            finally:
                elsewhere.rename(sockets)
            assert (refusal.value.status, refusal.value.code) == (503, "index_unavailable")
            assert refusal.value.retry_after is not None
            async with asyncio.timeout(60):
                while not await database.healthy():
                    pass
            assert len(await index.search(Query(vectors[0], 10))) == 5

    asyncio.run(run())


def test_the_remains_of_a_killed_owner_do_not_stop_the_next_start(tmp_path: Path) -> None:
    owner = textwrap.dedent(
        """
        import os, signal, sys
        import psycopg
        from pathlib import Path
        from service.index.embedded import EmbeddedPostgres

        server = EmbeddedPostgres(Path(sys.argv[1]))
        server.start()
        with psycopg.connect(server.url, autocommit=True) as connection:
            connection.execute("CREATE TABLE kept (number integer)")
            connection.execute("INSERT INTO kept VALUES (7)")
        print(server.url, flush=True)
        if sys.argv[2] == "both":
            os.kill(server.pid, signal.SIGKILL)
        os.kill(os.getpid(), signal.SIGKILL)
        """
    )
    for victims in ("owner", "both"):
        folder = tmp_path / victims
        command = [sys.executable, "-c", owner, str(folder), victims]
        ended = subprocess.run(command, check=False, stdout=subprocess.PIPE, text=True)
        assert ended.returncode == -signal.SIGKILL
        left_behind = sockets_of(ended.stdout.strip())
        assert left_behind.exists()
        with EmbeddedPostgres(folder) as server:
            assert scalar(server.url, "SELECT number FROM kept") == 7
            assert not left_behind.exists()
            own = sockets_of(server.url)
            assert own.exists()
        assert not own.exists()


def sockets_of(url: str) -> Path:
    """The folder of a server's socket."""
    return Path(str(conninfo_to_dict(url)["host"]))


def test_a_lock_file_whose_process_id_was_given_away_does_not_stop_the_next_start(tmp_path: Path) -> None:
    with EmbeddedPostgres(tmp_path):
        lines = (tmp_path / "postgres" / "postmaster.pid").read_text().splitlines()
    (tmp_path / "postgres" / "postmaster.pid").write_text("\n".join([str(os.getpid()), *lines[1:]]))
    with EmbeddedPostgres(tmp_path) as server:
        assert scalar(server.url, "SELECT 1") == 1
