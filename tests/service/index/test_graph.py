"""Building the graph: with what the machine has, in plain sight, and not while the space is being filled."""

import asyncio
from pathlib import Path

import psycopg
import pytest

from contract.card import ModelCard
from service.index import graph, graph_resources
from service.index.connection import BoundedConnection
from service.index.database import Database
from service.index.graph_resources import BuildResources, choose, needed_bytes
from service.index.graph_upkeep import GraphUpkeep, Sight, is_quiet
from service.index.search import Query
from service.index.space import Space
from service.index.store import Index
from tests.service.index_session import directions, graph_use, items_of, tiny_card

ITEMS = 3000


@pytest.fixture
def card(tiny_models: Path) -> ModelCard:
    return tiny_card(tiny_models)


@pytest.mark.parametrize(
    ("available", "shared", "cores", "memory", "workers"),
    [
        (2**40, 2**40, 4, needed_bytes(10**6, 512), 3),
        (2**30, 2**40, 4, 2**29, 3),
        (2**40, 2**26, 4, needed_bytes(10**6, 512), 0),
        (2**40, 2**40, 1, needed_bytes(10**6, 512), 0),
        (0, 2**40, 2, 2**26, 1),
    ],
)
def test_a_build_takes_what_the_machine_has(
    available: int, shared: int, cores: int, memory: int, workers: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(graph_resources, "available_bytes", lambda: available)
    monkeypatch.setattr(graph_resources, "shared_bytes", lambda: shared)
    monkeypatch.setattr(graph_resources, "usable_cores", lambda: cores)
    assert choose(10**6, 512) == BuildResources(memory, workers)


def test_a_database_elsewhere_keeps_its_own_settings_but_for_too_little_memory(index_url: str) -> None:
    async def memory(before: str, resources: BuildResources | None) -> tuple[object, ...] | None:
        async with await BoundedConnection.connect(index_url, autocommit=True) as connection:
            await connection.execute(f"SET maintenance_work_mem = '{before}'")
            await graph_resources.apply(connection, resources)
            cursor = await connection.execute(
                "SELECT current_setting('maintenance_work_mem'), "
                "current_setting('max_parallel_maintenance_workers')"
            )
            return await cursor.fetchone()

    assert asyncio.run(memory("1GB", None)) == ("1GB", "2")
    assert asyncio.run(memory("8MB", None)) == ("256MB", "2")
    assert asyncio.run(memory("8MB", BuildResources(512 * 2**20, 1))) == ("512MB", "1")


def test_a_graph_that_several_processes_build_is_seen_growing_and_answers(
    index_url: str, card: ModelCard, tmp_path: Path
) -> None:
    card = card.model_copy(update={"shapes": card.shapes.model_copy(update={"embedding": 64})})
    vectors = directions(card, ITEMS)

    async def run() -> list[float]:
        database = Database(index_url, folder=tmp_path)
        await database.open()
        index = Index(database, card, exact_items=100)
        await index.put(items_of(vectors))
        seen = []
        try:
            building = asyncio.create_task(index.maintain())
            while not building.done():
                (space,) = (await index.statistics()).spaces
                if space.build is not None:
                    assert space.search == "exact"
                    seen.append(space.build)
            await building
            (space,) = (await index.statistics()).spaces
            assert (space.search, space.build) == ("hnsw", None)
            hits = await index.search(Query(vectors[7], 10))
            assert hits[0].id == "000007"
        finally:
            await database.close()
        return seen

    seen = asyncio.run(run())
    assert seen
    # Not sorted: a build that lacks shared memory begins anew with one process.
    assert all(0 <= share <= 1 for share in seen)
    assert graph_use(index_url)[0] == 1


def test_a_build_that_finds_too_little_shared_memory_is_done_by_one_process(
    index_url: str, card: ModelCard, monkeypatch: pytest.MonkeyPatch
) -> None:
    create = graph._create
    tries = []

    async def first_fails(connection: BoundedConnection, space: object) -> None:
        cursor = await connection.execute("SHOW max_parallel_maintenance_workers")
        tries.append(await cursor.fetchone())
        if len(tries) == 1:
            # What PostgreSQL raises, by itself.
            await connection.execute("DO $$ BEGIN RAISE 'could not resize' USING ERRCODE = '53100'; END $$")
        await create(connection, space)  # type: ignore[arg-type]

    monkeypatch.setattr(graph, "_create", first_fails)

    async def run() -> None:
        database = Database(index_url)
        await database.open()
        index = Index(database, card, exact_items=100)
        await index.put(items_of(directions(card, 200)))
        await index.maintain()
        assert [space.search for space in (await index.statistics()).spaces] == ["hnsw"]
        await database.close()

    asyncio.run(run())
    assert tries == [("2",), ("0",)]


@pytest.mark.parametrize(
    ("before", "items", "waited", "quiet"),
    [
        (None, 100_000, 0.0, False),
        (100_000, 100_000, 15.0, True),
        (100_000, 100_900, 15.0, True),
        (100_000, 160_000, 15.0, False),
        (900_000, 1_000_000, 15.0, False),
        (999_000, 1_000_000, 15.0, True),
        (100_000, 50_000, 15.0, True),
        # A space that always grows gets its graph all the same.
        (900_000, 1_000_000, 3600.0, True),
    ],
)
def test_a_space_that_is_being_filled_gets_its_graph_afterwards(
    before: int | None, items: int, waited: float, quiet: bool
) -> None:
    assert is_quiet(before, items, waited) is quiet


def test_the_upkeep_builds_by_itself_and_a_failed_build_is_tried_again(
    index_url: str, card: ModelCard, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("service.index.upkeep._EVERY_SECONDS", 0.01)
    create = graph._create
    tries = iter(range(3))

    async def first_fails(connection: BoundedConnection, space: object) -> None:
        if next(tries) == 0:
            raise psycopg.errors.InternalError("not today")
        await create(connection, space)  # type: ignore[arg-type]

    monkeypatch.setattr(graph, "_create", first_fails)

    async def run() -> None:
        database = Database(index_url)
        await database.open()
        index = Index(database, card, exact_items=100)
        await index.put(items_of(directions(card, 200)))
        index.start()
        try:
            async with asyncio.timeout(60):
                while (await index.statistics()).spaces[0].search != "hnsw":
                    pass
        finally:
            await index.stop()
            await database.close()

    asyncio.run(run())


def test_a_build_on_demand_waits_for_one_that_is_under_way(monkeypatch: pytest.MonkeyPatch) -> None:
    column, sight = Space(1, 8).embeddings, Sight(200, 0.0, wanted=True)

    async def run() -> list[str]:
        gate, steps = asyncio.Event(), []

        async def build(*_: object) -> None:
            steps.append("begun")
            await gate.wait()
            steps.append("done")

        monkeypatch.setattr(graph, "build", build)
        upkeep = GraphUpkeep(Database("postgresql://nowhere"), exact_rows=100)
        upkeep.build_when_quiet(column, sight)
        upkeep.build_when_quiet(column, sight)
        demanded = asyncio.create_task(upkeep.build_now(column, sight))
        for _ in range(10):
            await asyncio.sleep(0)
        assert steps == ["begun"]
        gate.set()
        await demanded
        return steps

    # The second one finds the graph there and does nothing.
    assert asyncio.run(run()) == ["begun", "done", "begun", "done"]
