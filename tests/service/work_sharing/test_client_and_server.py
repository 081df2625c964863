"""Workers that answer chunks of their peers' streams."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from service import tracing
from service.inference.peers import PeerRequest
from service.inference.pipeline import Pipeline
from service.inference.results import Embedded, Failed, Outcome, Priority, Want
from service.work_sharing import client
from service.work_sharing.client import PeerClient, address
from service.work_sharing.load_table import TABLE, LoadTable
from service.work_sharing.protocol import read_request
from service.work_sharing.server import PeerServer
from tests.pictures import photo, plain
from tests.service.faults import FragileModel, running

CHUNK = [photo(seed) for seed in range(20)]


class OnePipeline:
    """Pipelines of a worker that serves one model."""

    def __init__(self, pipeline: Pipeline) -> None:
        self._pipeline = pipeline

    def pipeline(self, key: str) -> Pipeline | None:
        return self._pipeline if key == self._pipeline.key else None


class WatchedServer(PeerServer):
    """Server that tells when it has cancelled an answer."""

    def __init__(self, pipelines: OnePipeline, socket: Path) -> None:
        super().__init__(pipelines, socket)
        self.cancelled = asyncio.Event()

    async def _answer_while_asked(
        self, request: PeerRequest, reader: asyncio.StreamReader
    ) -> list[Outcome] | None:
        try:
            return await super()._answer_while_asked(request, reader)
        except asyncio.IncompleteReadError:
            self.cancelled.set()
            raise


@dataclass
class Worker:
    """One of two workers in the test's process."""

    model: FragileModel
    pipeline: Pipeline
    peer_server: WatchedServer

    async def hold(self, chunk: list[bytes]) -> "asyncio.Task[list[Outcome]]":
        """Answer a chunk, which stays in the model until its gate opens."""
        self.model.entered.clear()
        self.model.gate.clear()
        task = asyncio.create_task(self.pipeline.embed(chunk, Want.EMBEDDING, Priority.BULK))
        await asyncio.to_thread(self.model.entered.wait, 30)
        return task


@asynccontextmanager
async def workers(models: Path, folder: Path, **changes: object) -> AsyncIterator[tuple[Worker, Worker]]:
    """Run two workers of one service."""
    LoadTable.create(folder / TABLE, 2)
    made = []
    for number in range(2):
        peers = PeerClient(folder, LoadTable.open(folder / TABLE, number, 2))
        made.append((FragileModel(models), peers))
    (first, first_peers), (second, second_peers) = made
    async with (
        running(models, first, first_peers, **changes) as one,
        running(models, second, second_peers, **changes) as other,
    ):
        pair = []
        for number, (model, pipeline) in enumerate(((first, one), (second, other))):
            peer_server = WatchedServer(OnePipeline(pipeline), address(folder, number))
            await peer_server.start()
            pair.append(Worker(model, pipeline, peer_server))
        try:
            yield pair[0], pair[1]
        finally:
            for worker, peers in zip(pair, (first_peers, second_peers), strict=True):
                worker.model.gate.set()
                worker.peer_server.stop()
                peers.close()


def vectors(outcomes: list[Outcome]) -> list[np.ndarray]:
    return [one.embedding for one in outcomes if isinstance(one, Embedded)]


@pytest.mark.parametrize("want", [Want.EMBEDDING, Want.MAP, Want.PROJECTIONS])
def test_an_idle_peer_answers_the_next_chunk_of_a_stream(
    tiny_models: Path, tmp_path: Path, want: Want
) -> None:
    mixed = [*CHUNK[:9], b"no image", *CHUNK[9:], photo()[:-300]]

    async def scenario() -> None:
        async with running(tiny_models) as alone:
            expected = await alone.embed(mixed, want)
        async with workers(tiny_models, tmp_path) as (one, other):
            first = await one.hold(CHUNK)
            answered = await one.pipeline.embed(mixed, want, Priority.BULK)
            assert other.model.seen
            assert not first.done()
            one.model.gate.set()
            await first
        for own, answer in zip(expected, answered, strict=True):
            if isinstance(own, Failed):
                assert own == answer
                continue
            assert isinstance(answer, Embedded)
            assert own.image == answer.image
            np.testing.assert_allclose(own.embedding, answer.embedding, atol=1e-5)
            np.testing.assert_allclose(own.code, answer.code, atol=1e-5)
            assert (own.mi_map is None) == (answer.mi_map is None) == (want is Want.EMBEDDING)
            if own.mi_map is not None and answer.mi_map is not None:
                np.testing.assert_allclose(own.mi_map, answer.mi_map, atol=1e-4)
            assert (own.projections is None) == (answer.projections is None) == (want is not Want.PROJECTIONS)
            if own.projections is not None and answer.projections is not None:
                for part in ("local", "global_", "local_log_normaliser"):
                    here, there = getattr(own.projections, part), getattr(answer.projections, part)
                    np.testing.assert_allclose(here, there, atol=1e-4)

    asyncio.run(scenario())


def test_the_trace_of_a_stream_shows_the_chunks_that_a_peer_answers(
    tiny_models: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("opentelemetry.sdk", reason="the extra tracing is not installed")
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import SimpleSpanProcessor
    from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

    ended, provider = InMemorySpanExporter(), TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(ended))
    monkeypatch.setattr(tracing, "_tracer", provider.get_tracer("test"))

    async def scenario() -> None:
        async with workers(tiny_models, tmp_path) as (one, _):
            first = await one.hold(CHUNK)
            with tracing.request("POST", "/v1/batch", []):
                await one.pipeline.embed(CHUNK, Want.EMBEDDING, Priority.BULK)
            one.model.gate.set()
            await first

    asyncio.run(scenario())
    # The first chunk belongs to no request, and the peer to no trace.
    peer, request = ended.get_finished_spans()
    assert (peer.name, request.name) == ("peer", "POST")
    assert peer.parent is not None
    assert peer.parent.span_id == request.context.span_id
    assert peer.attributes == {"infomax.worker": 1, "infomax.images": len(CHUNK)}


def test_only_chunks_of_streams_go_to_peers(tiny_models: Path, tmp_path: Path) -> None:
    async def scenario() -> None:
        async with workers(tiny_models, tmp_path) as (one, other):
            first = await one.hold(CHUNK)
            second = asyncio.create_task(one.pipeline.embed(CHUNK, Want.EMBEDDING))
            third = asyncio.create_task(one.pipeline.embed(CHUNK, Want.CONTRIBUTION, Priority.BULK))
            few = asyncio.create_task(one.pipeline.embed([plain(1)], Want.EMBEDDING, Priority.BULK))
            await asyncio.sleep(0)
            one.model.gate.set()
            for task in (first, second, third, few):
                assert len(vectors(await task)) == len(await task)
            assert not other.model.seen

    asyncio.run(scenario())


def test_a_busy_peer_is_not_asked(tiny_models: Path, tmp_path: Path) -> None:
    async def scenario() -> None:
        async with workers(tiny_models, tmp_path) as (one, other):
            own = await other.hold([plain(7)])
            first = await one.hold(CHUNK)
            second = asyncio.create_task(one.pipeline.embed(CHUNK, Want.EMBEDDING, Priority.BULK))
            await asyncio.sleep(0)
            one.model.gate.set()
            assert len(vectors(await second)) == len(CHUNK)
            other.model.gate.set()
            await asyncio.gather(own, first)
            assert {value for batch in other.model.seen for value in batch} <= {7, 0}

    asyncio.run(scenario())


@pytest.mark.parametrize("how", ["it is gone", "it stops", "it serves another model"])
def test_a_chunk_that_the_peer_does_not_answer_is_answered_here(
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
            first = await one.hold(CHUNK)
            second = asyncio.create_task(one.pipeline.embed(CHUNK, Want.EMBEDDING, Priority.BULK))
            await asyncio.sleep(0)
            one.model.gate.set()
            assert len(vectors(await second)) == len(vectors(await first)) == len(CHUNK)

    asyncio.run(scenario())


def test_a_peer_that_hangs_is_waited_for_once(
    tiny_models: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(client, "_ANSWER_SECONDS", 0.05)
    asked = []

    async def scenario() -> None:
        left = asyncio.Event()

        async def hang(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            asked.append(await read_request(reader))
            # Until the client closes the connection.
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


def test_a_peer_that_is_lost_while_it_answers_costs_nothing(tiny_models: Path, tmp_path: Path) -> None:
    async def scenario() -> None:
        async with workers(tiny_models, tmp_path) as (one, other):
            other.model.entered.clear()
            other.model.gate.clear()
            first = await one.hold(CHUNK)
            second = asyncio.create_task(one.pipeline.embed(CHUNK, Want.EMBEDDING, Priority.BULK))
            await asyncio.to_thread(other.model.entered.wait, 30)
            other.peer_server.stop()
            one.model.gate.set()
            assert len(vectors(await second)) == len(vectors(await first)) == len(CHUNK)

    asyncio.run(scenario())


def test_a_cancelled_call_takes_its_images_out_of_the_queue_of_the_peer(
    tiny_models: Path, tmp_path: Path
) -> None:
    async def scenario() -> None:
        async with workers(tiny_models, tmp_path, max_batch=4) as (one, other):
            other.model.entered.clear()
            other.model.gate.clear()
            first = await one.hold(CHUNK)
            second = asyncio.create_task(one.pipeline.embed(CHUNK, Want.EMBEDDING, Priority.BULK))
            await asyncio.to_thread(other.model.entered.wait, 30)
            second.cancel()
            with pytest.raises(asyncio.CancelledError):
                await second
            one.model.gate.set()
            await first
            await asyncio.wait_for(other.peer_server.cancelled.wait(), 30)
            other.model.gate.set()
        assert sum(map(len, other.model.seen)) <= 8

    asyncio.run(scenario())
