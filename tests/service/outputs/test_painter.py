"""Pictures wait for one thread, and not in any number."""

import asyncio
from threading import Event

import pytest

from service.errors import ServiceError
from service.outputs.painter import Painter


def test_pictures_are_drawn_one_at_a_time() -> None:
    at_work: list[int] = []
    most: list[int] = []

    def draw() -> bytes:
        at_work.append(1)
        most.append(len(at_work))
        at_work.pop()
        return b"picture"

    async def scenario() -> None:
        painter = Painter()
        assert await asyncio.gather(*[painter.paint(draw) for _ in range(20)]) == [b"picture"] * 20
        assert set(most) == {1}

    asyncio.run(scenario())


def test_too_many_are_refused_with_the_time_to_come_back() -> None:
    gate = Event()

    def draw() -> bytes:
        assert gate.wait(30)
        return b"picture"

    async def scenario() -> None:
        painter = Painter()
        waiting = [asyncio.create_task(painter.paint(draw)) for _ in range(32)]
        # Each task runs up to its wait.
        await asyncio.sleep(0)
        with pytest.raises(ServiceError) as caught:
            await painter.paint(draw)
        gate.set()
        assert (caught.value.status, caught.value.code) == (503, "overloaded")
        assert caught.value.retry_after is not None
        assert caught.value.retry_after > 0
        assert await asyncio.gather(*waiting) == [b"picture"] * 32
        assert await painter.paint(draw) == b"picture"

    asyncio.run(scenario())


def test_a_failed_drawing_is_its_own_caller_s() -> None:
    def fail() -> bytes:
        raise ValueError("no colours left")

    async def scenario() -> None:
        painter = Painter()
        with pytest.raises(ValueError, match="no colours left"):
            await painter.paint(fail)
        assert await painter.paint(lambda: b"picture") == b"picture"

    asyncio.run(scenario())
