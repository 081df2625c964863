"""Race of a task against the end of its purpose."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

T = TypeVar("T")


class Superseded(Exception):  # noqa: N818 (an outcome of a race, not a fault)
    """The other side of a race ended first, and the task was cancelled."""


async def unless(end: Callable[[], Awaitable[object]], awaitable: Awaitable[T]) -> T:
    """Await a task, and cancel it where `end` comes first.

    On return `end` has stopped too, so that another task may read its source.

    Raises:
        Superseded: `end` came first.
        Exception: the error of the task, or of `end`, which cancels the task too.
    """
    task = asyncio.current_task()
    assert task is not None  # noqa: S101 (a coroutine runs in a task)
    ended = False

    async def watch() -> None:
        nonlocal ended
        try:
            await end()
        finally:
            # Unless this function has cancelled `end`, because the task is done.
            if not done:
                ended = True
                task.cancel()

    done = False
    watcher = asyncio.create_task(watch())
    try:
        return await awaitable
    except asyncio.CancelledError:
        if not ended:
            raise
        task.uncancel()
        # Raises the error of `end`.
        await watcher
        raise Superseded from None
    finally:
        done = True
        watcher.cancel()
        if not watcher.done():
            await asyncio.wait([watcher])
