"""Pictures that take long to decode, and all the others."""

import asyncio
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from threading import Event

import pytest
from PIL import Image

from contract.image_limits import ImageLimits
from contract.images import decode
from contract.preprocessing import Preprocessing
from service.errors import ServiceError
from service.inference import decoding
from service.inference.deadline import Deadline
from service.inference.pipeline import Pipeline
from service.inference.results import Embedded, Outcome, Priority, Want
from tests.pictures import encoded, photo, plain
from tests.service.faults import running

LARGE = plain(7, 800)
"""640,000 pixels: 0.64 seconds at a microsecond each, which the tests below let a PNG take."""
ORDINARY = photo(1, 300, 300, "PNG")


@dataclass
class Gate:
    """The decoder, which takes as long over LARGE as a test wants.

    Attributes:
        begun: it has come to one.
        go_on: it may decode them.
    """

    begun: Event = field(default_factory=Event)
    go_on: Event = field(default_factory=Event)


@pytest.fixture
def gate(monkeypatch: pytest.MonkeyPatch) -> Iterator[Gate]:
    found = Gate()

    def decode_slowly(data: bytes, rule: Preprocessing, limits: ImageLimits, *_: object) -> object:
        if data == LARGE:
            found.begun.set()
            assert found.go_on.wait(timeout=60), "the test never went on"
        return decode(data, rule, limits)

    monkeypatch.setattr(decoding, "decode", decode_slowly)
    yield found
    found.go_on.set()


def take_a_microsecond_for_each_pixel(pipeline: Pipeline) -> None:
    cost = pipeline._costs.of(LARGE)
    for _ in range(200):
        pipeline._costs.learn(cost, cost.pixels / 1e6, cost.pixels / 1e6, complete=True)


async def ask(pipeline: Pipeline, data: bytes, deadline: Deadline | None = None) -> Outcome:
    (outcome,) = await asyncio.wait_for(pipeline.embed([data], Want.EMBEDDING, deadline=deadline), 60)
    return outcome


async def refusal(pipeline: Pipeline, data: bytes, deadline: Deadline | None = None) -> ServiceError:
    with pytest.raises(ServiceError) as caught:
        await ask(pipeline, data, deadline)
    return caught.value


@pytest.mark.parametrize("priority", Priority)
def test_ordinary_images_are_answered_while_large_ones_wait(
    tiny_models: Path, gate: Gate, priority: Priority
) -> None:
    async def scenario() -> None:
        async with running(tiny_models, decode_threads=1, queue_seconds=100) as pipeline:
            take_a_microsecond_for_each_pixel(pipeline)
            large = [
                asyncio.create_task(pipeline.embed([LARGE], Want.EMBEDDING, priority)) for _ in range(20)
            ]
            assert await asyncio.to_thread(gate.begun.wait, 60)
            for number in range(5):
                assert isinstance(await ask(pipeline, photo(number, 300, 300, "PNG")), Embedded)
                assert isinstance(await ask(pipeline, photo(number)), Embedded)
            assert not any(one.done() for one in large)
            gate.go_on.set()
            for (outcome,) in await asyncio.gather(*large):
                assert isinstance(outcome, Embedded)
                assert outcome.image.original_width == 800

    asyncio.run(scenario())


def test_a_large_picture_that_would_wait_too_long_is_refused_and_told_when_to_come(
    tiny_models: Path, gate: Gate
) -> None:
    async def scenario() -> None:
        async with running(tiny_models, decode_threads=1, queue_seconds=1) as pipeline:
            take_a_microsecond_for_each_pixel(pipeline)
            first = asyncio.create_task(ask(pipeline, LARGE))
            second = asyncio.create_task(ask(pipeline, LARGE))
            await asyncio.sleep(0)
            # Two of 0.64 seconds are before it, and none of that is done.
            error = await refusal(pipeline, LARGE)
            assert (error.status, error.code) == (503, "overloaded")
            assert error.retry_after is not None
            assert 0.64 <= error.retry_after <= 1.29
            assert isinstance(await ask(pipeline, ORDINARY), Embedded)
            gate.go_on.set()
            assert all(isinstance(one, Embedded) for one in await asyncio.gather(first, second))
            assert isinstance(await ask(pipeline, LARGE), Embedded)

    asyncio.run(scenario())


def test_a_deadline_counts_what_is_decoded_before_and_the_picture_itself(
    tiny_models: Path, gate: Gate
) -> None:
    async def scenario() -> None:
        async with running(tiny_models, decode_threads=1, queue_seconds=100) as pipeline:
            take_a_microsecond_for_each_pixel(pipeline)
            first = asyncio.create_task(ask(pipeline, LARGE))
            assert await asyncio.to_thread(gate.begun.wait, 60)
            error = await refusal(pipeline, LARGE, Deadline(0.5))
            assert (error.status, error.code) == (503, "deadline_unreachable")
            assert isinstance(await ask(pipeline, ORDINARY, Deadline(30)), Embedded)
            gate.go_on.set()
            await first

    asyncio.run(scenario())


def test_ordinary_photographs_that_take_too_long_together_are_refused(
    tiny_models: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    go_on, begun = Event(), Event()

    def wait(data: bytes, rule: Preprocessing, limits: ImageLimits, *_: object) -> object:
        if len(data) > 8192:
            begun.set()
            assert go_on.wait(timeout=60)
        return decode(data, rule, limits)

    monkeypatch.setattr(decoding, "decode", wait)

    async def scenario() -> None:
        async with running(tiny_models, decode_threads=1, queue_seconds=1) as pipeline:
            take_a_microsecond_for_each_pixel(pipeline)
            # 0.09 seconds each.
            held = [asyncio.create_task(ask(pipeline, ORDINARY)) for _ in range(12)]
            assert await asyncio.to_thread(begun.wait, 60)
            error = await refusal(pipeline, ORDINARY)
            assert error.code == "overloaded"
            assert error.retry_after == pytest.approx(12 * 0.09, rel=0.05)
            # What is small does not pass by the threads that are busy.
            assert isinstance(await ask(pipeline, photo()), Embedded)
            go_on.set()
            await asyncio.gather(*held)

    try:
        asyncio.run(scenario())
    finally:
        go_on.set()


def test_beside_real_bombs_a_photograph_is_answered_first(tiny_models: Path) -> None:
    bomb = encoded(Image.new("RGB", (8000, 5000), (9, 9, 9)), "PNG", compress_level=1)
    assert len(bomb) < 1_000_000
    order: list[str] = []

    async def scenario() -> None:
        async with running(tiny_models, decode_threads=1, queue_seconds=1000) as pipeline:

            async def one(name: str, data: bytes) -> None:
                assert isinstance(await ask(pipeline, data), Embedded)
                order.append(name)

            bombs = [asyncio.create_task(one("bomb", bomb)) for _ in range(3)]
            await asyncio.sleep(0)
            await one("photograph", photo(1, 640, 480))
            await asyncio.gather(*bombs)

    asyncio.run(scenario())
    assert order == ["photograph", "bomb", "bomb", "bomb"]
