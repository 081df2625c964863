"""Both load generators against a real server: what they count is what happened."""

import asyncio
import shutil
from pathlib import Path

import pytest

from bench.serving import load
from bench.serving.closed_loop import generate
from bench.serving.contenders import Contender, contenders
from bench.serving.model import BenchModel
from contract.preprocessing import Preprocessing
from tests.bench.replies import answering

FILES = (b"first", b"second", b"third")
MODEL = BenchModel(Path("models/tiny/1"), "tiny/1", "fp32", Preprocessing(height=32, width=32))


def ours() -> Contender:
    return contenders(MODEL, Path("data"))[0]


def requests() -> list[bytes]:
    return [ours().request(file) for file in FILES]


def test_our_generator_counts_every_reply_and_sends_every_request() -> None:
    seen: set[bytes] = set()

    def answer(body: bytes) -> tuple[int, bytes]:
        seen.add(body)
        return 200, b"x" * 100_000

    with answering(answer) as server:
        found = asyncio.run(generate(server.port, connections=3, seconds=0.2, requests=requests()))
        assert found["replies"] == server.served
    assert found["errors"] == 0
    assert 0 < found["p50_ms"] <= found["p99_ms"]
    assert seen == set(FILES)


def test_our_generator_counts_refusals_as_errors() -> None:
    with answering(lambda body: (503 if body == b"second" else 200, b"{}")) as server:
        found = asyncio.run(generate(server.port, connections=1, seconds=0.2, requests=requests()))
    assert abs(found["errors"] - found["replies"] / len(FILES)) < 1


def test_our_generator_counts_a_connection_that_breaks_off() -> None:
    async def scenario() -> dict[str, float]:
        async def hang_up(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await reader.readline()
            writer.close()

        server = await asyncio.start_server(hang_up, "127.0.0.1", 0)
        async with server:
            port = server.sockets[0].getsockname()[1]
            # Long enough for the connections to break first; they end the run, not the clock.
            return await generate(port, connections=2, seconds=60, requests=requests())

    found = asyncio.run(scenario())
    assert (found["replies"], found["errors"]) == (0, 2)


@pytest.mark.skipif(shutil.which("wrk") is None, reason="wrk is not installed")
def test_wrk_measures_the_same_as_our_generator() -> None:
    with (
        answering(lambda _: (503, b"{}")) as server,
        load.written(requests()) as paths,
    ):
        found = load.run(server.port, paths, connections=2, seconds=1)
        # It ends while its last requests are under way.
        assert 0 < found.replies <= server.served <= found.replies + 2
    assert found.errors == found.replies
    assert found.rate == 0
    assert found.cpu_seconds > 0


def test_a_rate_counts_good_replies_only() -> None:
    line = '{"replies": 100, "seconds": 2.0, "p50_ms": 1.0, "p99_ms": 2.0, "errors": 20}'
    assert load.read(f"something else\nRESULT {line}\n", cpu_seconds=0.5).rate == 40
