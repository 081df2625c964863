"""Work is for a client who waits; when he goes away it stops."""

import asyncio
from collections.abc import Awaitable
from typing import TypeVar

from fastapi import Request

from service.inputs.body import client_gone

T = TypeVar("T")


async def while_connected(request: Request, work: Awaitable[T]) -> T:
    """Await the work, and cancel it if the client closes the connection.

    The request's body has to be read already.

    Raises:
        ServiceError: 499 `client_gone`, which only the metrics get to see.
    """
    task = asyncio.current_task()
    assert task is not None  # noqa: S101 (a coroutine runs in a task)
    gone = False

    async def watch() -> None:
        nonlocal gone
        while (await request.receive())["type"] != "http.disconnect":
            pass
        gone = True
        task.cancel()

    watcher = asyncio.create_task(watch())
    try:
        return await work
    except asyncio.CancelledError:
        if not gone:
            raise
        task.uncancel()
        raise client_gone() from None
    finally:
        watcher.cancel()
