"""Workers that answer parts of one another's streams."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from service.inference.peers import PeerRequest
from service.inference.pipeline import Pipeline
from service.inference.results import Embedded, Failed, Outcome, Priority, Want
from service.work_sharing import client as colleagues_module
from service.work_sharing.client import PeerClient, address
from service.work_sharing.load_table import TABLE, LoadTable
from service.work_sharing.protocol import read_request
from service.work_sharing.server import PeerServer
from tests.pictures import photo, plain
from tests.service.faults import FragileModel, running

CHUNK = [photo(seed) for seed in range(20)]


class ModelInstance:
    """The models of a worker, of which there is one."""

    def __init__(self, pipeline: Pipeline) -> None:
        self._pipeline = pipeline

    def pipeline(self, key: str) -> Pipeline | None:
        return self._pipeline if key == self._pipeline.key else None


class WatchedHelper(PeerServer):
    """Tells when it has given an answer up."""

    def __init__(self, models: ModelInstance, socket: Path) -> None:
        super().__init__(models, socket)
        self.given_up = asyncio.Event()

    async def _answer_while_asked(
        self, request: PeerRequest, reader: asyncio.StreamReader
    ) -> list[Outcome] | None:
        try:
            return await super()._answer_while_asked(request, reader)
        except asyncio.IncompleteReadError:
            self.given_up.set()
            raise


@dataclass
class Worker:
    """One of two workers in a process."""

    model: FragileModel
    pipeline: Pipeline
    peer_server: WatchedHelper

    async def held_up(self, chunk: list[bytes]) -> "asyncio.Task[list[Outcome]]":
        """A chunk that stays in the model until its gate opens."""
        self.model.entered.clear()
        self.model.gate.clear()
        task = asyncio.create_task(self.pipeline.embed(chunk, Want.EMBEDDING, Priority.BULK))
        await asyncio.to_thread(self.model.entered.wait, 30)
        return task


@asynccontextmanager
async def workers(models: Path, folder: Path, **changes: object) -> AsyncIterator[tuple[Worker, Worker]]:
    """Two workers of one service."""
    LoadTable.create(folder / TABLE, 2)
    made = []
    for place in range(2):
        peers = PeerClient(folder, LoadTable.open(folder / TABLE, place, 2))
        made.append((FragileModel(models), peers))
    (first, asks), (second, asks_too) = made
    async with (
        running(models, first, asks, **changes) as one,
        running(models, second, asks_too, **changes) as other,
    ):
        pair = []
        for place, (model, pipeline) in enumerate(((first, one), (second, other))):
            peer_server = WatchedHelper(ModelInstance(pipeline), address(folder, place))
            await peer_server.start()
            pair.append(Worker(model, pipeline, peer_server))
        try:
            yield pair[0], pair[1]
        finally:
            for worker, peers in zip(pair, (asks, asks_too), strict=True):
                worker.model.gate.set()
                worker.peer_server.stop()
                peers.close()


def vectors(outcomes: list[Outcome]) -> list[np.ndarray]:
    return [one.embedding for one in outcomes if isinstance(one, Embedded)]


@pytest.mark.parametrize("want", [Want.EMBEDDING, Want.MAP])
def test_a_stream_s_next_chunk_is_answered_by_a_worker_that_has_time(
    tiny_models: Path, tmp_path: Path, want: Want
) -> None:
    mixed = [*CHUNK[:9], b"no image", *CHUNK[9:], photo()[:-300]]

    async def scenario() -> None:
        async with running(tiny_models) as alone:
            expected = await alone.embed(mixed, want)
        async with workers(tiny_models, tmp_path) as (one, other):
            first = await one.held_up(CHUNK)
            answered = await one.pipeline.embed(mixed, want, Priority.BULK)
            assert other.model.seen
            assert not first.done()
            one.model.gate.set()
            await first
        for mine, theirs in zip(expected, answered, strict=True):
            if isinstance(mine, Failed):
                assert mine == theirs
                continue
            assert isinstance(theirs, Embedded)
            assert mine.image == theirs.image
            np.testing.assert_allclose(mine.embedding, theirs.embedding, atol=1e-5)
            np.testing.assert_allclose(mine.code, theirs.code, atol=1e-5)
            assert (mine.mi_map is None) == (theirs.mi_map is None) == (want is Want.EMBEDDING)
            if mine.mi_map is not None and theirs.mi_map is not None:
                np.testing.assert_allclose(mine.mi_map, theirs.mi_map, atol=1e-4)

    asyncio.run(scenario())


def test_what_is_no_stream_stays_where_it_is(tiny_models: Path, tmp_path: Path) -> None:
    async def scenario() -> None:
        async with workers(tiny_models, tmp_path) as (one, other):
            first = await one.held_up(CHUNK)
            second = asyncio.create_task(one.pipeline.embed(CHUNK, Want.EMBEDDING))
            third = asyncio.create_task(one.pipeline.embed(CHUNK, Want.PROJECTIONS, Priority.BULK))
            few = asyncio.create_task(one.pipeline.embed([plain(1)], Want.EMBEDDING, Priority.BULK))
            await asyncio.sleep(0)
            one.model.gate.set()
            for task in (first, second, third, few):
                assert len(vectors(await task)) == len(await task)
            assert not other.model.seen

    asyncio.run(scenario())


def test_a_worker_with_work_of_its_own_is_not_asked(tiny_models: Path, tmp_path: Path) -> None:
    async def scenario() -> None:
        async with workers(tiny_models, tmp_path) as (one, other):
            own = await other.held_up([plain(7)])
            first = await one.held_up(CHUNK)
            second = asyncio.create_task(one.pipeline.embed(CHUNK, Want.EMBEDDING, Priority.BULK))
            await asyncio.sleep(0)
            one.model.gate.set()
            assert len(vectors(await second)) == len(CHUNK)
            other.model.gate.set()
            await asyncio.gather(own, first)
            assert {value for batch in other.model.seen for value in batch} <= {7, 0}

    asyncio.run(scenario())


@pytest.mark.parametrize("how", ["it is gone", "it stops", "it serves another model"])
def test_a_chunk_that_the_other_worker_does_not_answer_is_answered_here(
    tiny_models: Path, tmp_path: Path, how: str
) -> None:
    async def scenario() -> None:
        async with workers(tiny_models, tmp_path) as (one, other):
            if how == "it is gone":
                other.peer_server.stop()
                address(tmp_path, 1).unlink(missing_ok=True)
            elif how == "it stops":
                await other.pipeline.stop(0)
            else:
                other.pipeline.key = "another"
            first = await one.held_up(CHUNK)
            second = asyncio.create_task(one.pipeline.embed(CHUNK, Want.EMBEDDING, Priority.BULK))
            await asyncio.sleep(0)
            one.model.gate.set()
            assert len(vectors(await second)) == len(vectors(await first)) == len(CHUNK)

    asyncio.run(scenario())


def test_a_worker_that_hangs_is_waited_for_once(
    tiny_models: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(colleagues_module, "_ANSWER_SECONDS", 0.05)
    asked = []

    async def scenario() -> None:
        left = asyncio.Event()

        async def hang(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            asked.append(await read_request(reader))
            # Until nobody waits any more.
            await reader.read()
            writer.close()
            await writer.wait_closed()
            left.set()

        LoadTable.create(tmp_path / TABLE, 2)
        table = LoadTable.open(tmp_path / TABLE, 0, 2)
        peers = PeerClient(tmp_path, table)
        server = await asyncio.start_unix_server(hang, str(address(tmp_path, 1)))
        request = PeerRequest("any", Want.EMBEDDING, [plain(1)])
        for _ in range(3):
            assert await peers.answer(request, 1) is None
        assert len(asked) == 1
        assert table.borrow(1) == 1, "it was not given back"
        await left.wait()
        server.close()
        await server.wait_closed()

    asyncio.run(scenario())


def test_a_worker_that_is_lost_while_it_answers_costs_nothing(tiny_models: Path, tmp_path: Path) -> None:
    async def scenario() -> None:
        async with workers(tiny_models, tmp_path) as (one, other):
            other.model.entered.clear()
            other.model.gate.clear()
            first = await one.held_up(CHUNK)
            second = asyncio.create_task(one.pipeline.embed(CHUNK, Want.EMBEDDING, Priority.BULK))
            await asyncio.to_thread(other.model.entered.wait, 30)
            other.peer_server.stop()
            one.model.gate.set()
            assert len(vectors(await second)) == len(vectors(await first)) == len(CHUNK)

    asyncio.run(scenario())


def test_who_goes_away_takes_the_images_out_of_the_other_worker_s_queue(
    tiny_models: Path, tmp_path: Path
) -> None:
    async def scenario() -> None:
        async with workers(tiny_models, tmp_path, max_batch=4) as (one, other):
            other.model.entered.clear()
            other.model.gate.clear()
            first = await one.held_up(CHUNK)
            second = asyncio.create_task(one.pipeline.embed(CHUNK, Want.EMBEDDING, Priority.BULK))
            await asyncio.to_thread(other.model.entered.wait, 30)
            second.cancel()
            with pytest.raises(asyncio.CancelledError):
                await second
            one.model.gate.set()
            await first
            await asyncio.wait_for(other.peer_server.given_up.wait(), 30)
            other.model.gate.set()
        assert sum(map(len, other.model.seen)) <= 8

    asyncio.run(scenario())
