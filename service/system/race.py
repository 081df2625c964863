"""Work that stops when the reason for it is over."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

T = TypeVar("T")


class Superseded(Exception):  # noqa: N818 (an outcome of a race, not a fault)
    """The other side of a race ended first, and the work was cancelled."""


async def unless(end: Callable[[], Awaitable[object]], work: Awaitable[T]) -> T:
    """Await the work, and cancel it if `end` comes first.

    On return nothing of `end` runs any more, so that its source may be read by somebody else.

    Raises:
        Superseded: `end` came first.
        Exception: what `work` raised, or `end`, which cancels the work too.
    """
    task = asyncio.current_task()
    assert task is not None  # noqa: S101 (a coroutine runs in a task)
    ended = False

    async def watch() -> None:
        nonlocal ended
        try:
            await end()
        finally:
            # Not where this function has cancelled it: then the work is done.
            if not done:
                ended = True
                task.cancel()

    done = False
    watcher = asyncio.create_task(watch())
    try:
        return await work
    except asyncio.CancelledError:
        if not ended:
            raise
        task.uncancel()
        # Raises what `end` did.
        await watcher
        raise Superseded from None
    finally:
        done = True
        watcher.cancel()
        if not watcher.done():
            await asyncio.wait([watcher])
