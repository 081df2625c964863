"""Work, and what it is not done any more for."""

import asyncio

import pytest

from service.system.race import Superseded, unless


async def never() -> None:
    await asyncio.Event().wait()


async def at_once() -> str:
    return "done"


async def fail() -> None:
    raise OSError("lost")


def alone() -> bool:
    return asyncio.all_tasks() == {asyncio.current_task()}


def test_work_that_ends_first_ends_the_other() -> None:
    async def scenario() -> None:
        assert await unless(never, at_once()) == "done"
        with pytest.raises(OSError, match="lost"):
            await unless(never, fail())
        assert alone()

    asyncio.run(scenario())


def test_work_ends_with_its_reason() -> None:
    async def scenario() -> None:
        with pytest.raises(Superseded):
            await unless(at_once, never())
        assert alone()
        # The task itself goes on.
        await asyncio.sleep(0)

    asyncio.run(scenario())


def test_a_reason_that_fails_fails_the_work() -> None:
    async def scenario() -> None:
        with pytest.raises(OSError, match="lost"):
            await unless(fail, never())
        assert alone()

    asyncio.run(scenario())


def test_who_is_cancelled_from_outside_stays_cancelled() -> None:
    async def scenario() -> None:
        task = asyncio.create_task(unless(never, never()))
        await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert task.cancelled()
        assert alone()

    asyncio.run(scenario())
