"""Minimum efficient batch: when a decoded image waits for the next ones."""

import asyncio
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from threading import Event

import pytest

from contract.image_limits import ImageLimits
from contract.images import decode
from contract.preprocessing import Preprocessing
from service.inference import batching, decoding
from service.inference.pipeline import Pipeline
from service.inference.results import Embedded, Outcome, Want
from tests.pictures import photo
from tests.service.faults import FragileModel, running

PICTURES = [photo(seed, 320, 240, "PNG") for seed in range(8)]
"""Too large to be decoded by the thread of a batch."""
SLOW = PICTURES.pop()


@dataclass
class Slow:
    """Decoder that takes as long over SLOW as a test wants.

    Attributes:
        begun: it has come to SLOW.
        go_on: it may decode it.
    """

    begun: Event = field(default_factory=Event)
    go_on: Event = field(default_factory=Event)


@pytest.fixture
def slow(monkeypatch: pytest.MonkeyPatch) -> Iterator[Slow]:
    found = Slow()

    def decode_slowly(data: bytes, rule: Preprocessing, limits: ImageLimits, *_: object) -> object:
        if data == SLOW:
            found.begun.set()
            assert found.go_on.wait(timeout=30), "the test never went on"
        return decode(data, rule, limits)

    monkeypatch.setattr(decoding, "decode", decode_slowly)
    yield found
    found.go_on.set()


async def begun(slow: Slow, pipeline: Pipeline) -> "asyncio.Task[list[Outcome]]":
    """A call whose image keeps a decode thread busy."""
    call = asyncio.create_task(pipeline.embed([SLOW], Want.EMBEDDING))
    assert await asyncio.to_thread(slow.begun.wait, 30)
    return call


def test_images_that_are_about_to_be_decoded_make_a_batch(
    tiny_models: Path, slow: Slow, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(batching, "_LONGEST_HOLD_SECONDS", 3600.0)
    model = FragileModel(tiny_models)

    async def scenario() -> None:
        async with running(tiny_models, model, decode_threads=1) as pipeline:
            first = await begun(slow, pipeline)
            others = asyncio.create_task(pipeline.embed(PICTURES, Want.EMBEDDING))
            await asyncio.sleep(0)
            slow.go_on.set()
            await asyncio.gather(first, others)
            assert [len(batch) for batch in model.seen] == [8]

    asyncio.run(scenario())


@pytest.mark.parametrize("count", [1, 3])
def test_too_few_images_for_a_batch_do_not_wait(
    tiny_models: Path, slow: Slow, monkeypatch: pytest.MonkeyPatch, count: int
) -> None:
    monkeypatch.setattr(batching, "_LONGEST_HOLD_SECONDS", 3600.0)

    async def scenario() -> None:
        async with running(tiny_models, decode_threads=2) as pipeline:
            first = await begun(slow, pipeline)
            outcomes = await asyncio.wait_for(pipeline.embed(PICTURES[:count], Want.EMBEDDING), 30)
            assert all(isinstance(one, Embedded) for one in outcomes)
            assert not first.done()
            slow.go_on.set()
            await first

    asyncio.run(scenario())


def test_no_image_waits_long_for_a_slow_one(
    tiny_models: Path, slow: Slow, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(batching, "EFFICIENT_BATCH", 2)

    async def scenario() -> None:
        async with running(tiny_models, decode_threads=2) as pipeline:
            first = await begun(slow, pipeline)
            (outcome,) = await asyncio.wait_for(pipeline.embed(PICTURES[:1], Want.EMBEDDING), 30)
            assert isinstance(outcome, Embedded)
            assert not first.done()
            slow.go_on.set()
            await first

    asyncio.run(scenario())
