"""Pictures wait for a thread, not in any number, and large ones for another."""

import asyncio
from threading import Event

import pytest

from service.errors import ServiceError
from service.outputs.painter import Painter

SMALL, LARGE = 640 * 480, 8000 * 5000


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
        assert await asyncio.gather(*[painter.paint(draw, SMALL, 60) for _ in range(20)]) == [b"picture"] * 20
        assert set(most) == {1}

    asyncio.run(scenario())


def test_too_many_are_refused_with_the_time_to_come_back() -> None:
    gate = Event()

    def draw() -> bytes:
        assert gate.wait(30)
        return b"picture"

    async def scenario() -> None:
        painter = Painter()
        waiting = [asyncio.create_task(painter.paint(draw, SMALL, 60)) for _ in range(32)]
        # Each task runs up to its wait.
        await asyncio.sleep(0)
        with pytest.raises(ServiceError) as caught:
            await painter.paint(draw, SMALL, 60)
        gate.set()
        assert (caught.value.status, caught.value.code) == (503, "overloaded")
        assert caught.value.retry_after is not None
        assert caught.value.retry_after > 0
        assert await asyncio.gather(*waiting) == [b"picture"] * 32
        assert await painter.paint(draw, SMALL, 60) == b"picture"

    asyncio.run(scenario())


def test_a_failed_drawing_is_its_own_caller_s() -> None:
    def fail() -> bytes:
        raise ValueError("no colours left")

    async def scenario() -> None:
        painter = Painter()
        with pytest.raises(ValueError, match="no colours left"):
            await painter.paint(fail, SMALL, 60)
        assert await painter.paint(lambda: b"picture", SMALL, 60) == b"picture"

    asyncio.run(scenario())


def test_large_pictures_keep_no_others_waiting() -> None:
    gate = Event()

    def draw_slowly() -> bytes:
        assert gate.wait(30)
        return b"large"

    async def scenario() -> None:
        painter = Painter()
        large = [asyncio.create_task(painter.paint(draw_slowly, LARGE, 60)) for _ in range(5)]
        await asyncio.sleep(0)
        assert await asyncio.wait_for(painter.paint(lambda: b"small", SMALL, 60), 30) == b"small"
        assert not any(one.done() for one in large)
        gate.set()
        assert await asyncio.gather(*large) == [b"large"] * 5

    asyncio.run(scenario())


def test_a_picture_that_would_wait_too_long_is_refused() -> None:
    gate = Event()

    def draw() -> bytes:
        assert gate.wait(30)
        return b"picture"

    async def scenario() -> None:
        painter = Painter()
        waiting = [asyncio.create_task(painter.paint(draw, LARGE, 0.25)) for _ in range(3)]
        await asyncio.sleep(0)
        # Three of a tenth of a second, as is believed of the first ones.
        with pytest.raises(ServiceError, match="3 pictures wait"):
            await painter.paint(draw, LARGE, 0.25)
        gate.set()
        await asyncio.gather(*waiting)

    asyncio.run(scenario())
