"""A frozen database: every call ends, by code, and its connection is not used again."""

import asyncio
import signal
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from pathlib import Path

import psutil
import psycopg
import pytest

from contract.card import ModelCard
from service.index.connection import TRANSPORT, BoundedConnection
from service.index.database import Database
from service.index.embedded import EmbeddedPostgres
from service.index.errors import IndexStartError, IndexUnavailableError
from service.index.schema import check, migrate
from service.index.search import Query
from service.index.store import Index
from tests.pictures import photo
from tests.service.client import client
from tests.service.index_session import directions, items_of, tiny_card

# Enough to give a silent connection up and make another; the tests wait for it only where nothing answers.
SECONDS = {"backends": 5.0, "all_of": 1.0}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedPostgres]:
    with EmbeddedPostgres(tmp_path_factory.mktemp("frozen")) as server:
        migrate(server.url)
        yield server


@pytest.fixture
def card(tiny_models: Path) -> ModelCard:
    return tiny_card(tiny_models)


def backends(server: EmbeddedPostgres) -> list[psutil.Process]:
    """The processes that answer clients."""
    with psycopg.connect(server.url) as connection:
        rows = connection.execute(
            "SELECT pid FROM pg_stat_activity "
            "WHERE backend_type = 'client backend' AND pid <> pg_backend_pid()"
        ).fetchall()
    return [psutil.Process(pid) for (pid,) in rows]


def all_of(server: EmbeddedPostgres) -> list[psutil.Process]:
    assert server.pid is not None
    parent = psutil.Process(server.pid)
    return [parent, *parent.children()]


VICTIMS = pytest.mark.parametrize("victims", [backends, all_of])
Victims = Callable[[EmbeddedPostgres], list[psutil.Process]]


@contextmanager
def frozen(processes: list[psutil.Process]) -> Iterator[None]:
    for process in processes:
        process.send_signal(signal.SIGSTOP)
    try:
        yield
    finally:
        for process in processes:
            with suppress(psutil.NoSuchProcess):
                process.send_signal(signal.SIGCONT)


@asynccontextmanager
async def short_of_time(
    server: EmbeddedPostgres, card: ModelCard, seconds: float
) -> AsyncIterator[tuple[Database, Index]]:
    """An index whose calls may take no longer than `seconds`; its upkeep does not run."""
    database = Database(server.url, seconds)
    await database.open()
    try:
        index = Index(database, card, exact_items=10**9)
        async with asyncio.timeout(60):
            while not await database.healthy():
                pass
        await index.put(items_of(directions(card, 3)))
        yield database, index
    finally:
        await database.close()


CALLS: dict[str, Callable[[Index, ModelCard], Awaitable[object]]] = {
    "put": lambda index, card: index.put(items_of(directions(card, 2))),
    "get": lambda index, _: index.get("000000"),
    "delete": lambda index, _: index.delete("000001"),
    "list": lambda index, _: index.list_items("", "", 10),
    "delete_all": lambda index, _: index.delete_all("00000"),
    "search": lambda index, card: index.search(Query(directions(card, 1)[0], 3)),
    "statistics": lambda index, _: index.statistics(),
    "maintain": lambda index, _: index.maintain(),
}


@VICTIMS
@pytest.mark.parametrize("call", CALLS)
def test_every_call_ends_and_the_next_one_after_the_thaw_succeeds(
    call: str, victims: Victims, server: EmbeddedPostgres, card: ModelCard
) -> None:
    async def run() -> None:
        async with short_of_time(server, card, SECONDS[victims.__name__]) as (database, index):
            with frozen(victims(server)):
                if victims is all_of:
                    with pytest.raises(IndexUnavailableError) as refusal:
                        await CALLS[call](index, card)
                    assert refusal.value.status == 503
                    assert not await database.healthy()
                else:
                    # The silent connection is given up, and another server process answers.
                    await CALLS[call](index, card)
            async with asyncio.timeout(60):
                while not await database.healthy():
                    pass
            await CALLS[call](index, card)

    asyncio.run(run())


async def begin(connection: BoundedConnection) -> None:
    await connection.execute("BEGIN")
    await connection.execute("CREATE TEMP TABLE piece (number integer) ON COMMIT DROP")


async def copy(connection: BoundedConnection) -> None:
    async with connection.cursor().copy("COPY piece FROM STDIN") as target:
        # More than the sockets hold: what is not read cannot be sent either.
        for _ in range(200):
            await target.write(b"1\n" * 20_000)


STEPS: dict[str, Callable[[BoundedConnection], Awaitable[object]]] = {
    "query": lambda connection: connection.execute("SELECT 1"),
    "commit": lambda connection: connection.commit(),
    "rollback": lambda connection: connection.rollback(),
    "copy": copy,
    "pipeline": lambda connection: connection.cursor().executemany(
        "INSERT INTO piece VALUES (%s)", [[1]] * 9
    ),
}


@VICTIMS
@pytest.mark.parametrize("step", STEPS)
def test_every_step_of_a_call_ends_and_its_connection_is_closed(
    step: str, victims: Victims, server: EmbeddedPostgres, card: ModelCard
) -> None:
    async def run() -> None:
        async with short_of_time(server, card, 1.0) as (database, _):
            used: list[BoundedConnection] = []

            async def interrupted() -> None:
                async with database.connection() as connection:
                    used.append(connection)
                    await begin(connection)
                    with frozen(victims(server)):
                        await STEPS[step](connection)

            with pytest.raises(IndexUnavailableError, match="no answer within"):
                await interrupted()
            assert used[0].closed
            async with asyncio.timeout(60):
                while not await database.healthy():
                    pass
            async with database.connection() as connection:
                assert connection is not used[0]

    asyncio.run(run())


def test_a_clients_deadline_is_kept_while_the_database_is_frozen(
    tiny_models: Path, server: EmbeddedPostgres
) -> None:
    hurried = {"content-type": "image/jpeg", "x-request-timeout-ms": "300"}

    async def run() -> None:
        async with client(tiny_models, server.url) as http:
            assert (await http.put("/v1/items/a", content=photo(), headers=hurried)).status_code in (200, 504)
            for method, path in (("PUT", "/v1/items/a"), ("GET", "/v1/items/a"), ("DELETE", "/v1/items/a")):
                with frozen(all_of(server)):
                    answer = await http.request(method, path, content=photo(), headers=hurried)
                assert answer.json()["code"] in ("deadline_exceeded", "index_unavailable")
                assert answer.status_code in (503, 504)

    asyncio.run(run())


def test_a_frozen_server_stops_a_start_with_a_sentence(
    server: EmbeddedPostgres, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(TRANSPORT, "connect_timeout", 2)
    with frozen(all_of(server)), pytest.raises(IndexStartError, match="cannot be reached"):
        check(server.url)
    assert "PostgreSQL" in check(server.url)
