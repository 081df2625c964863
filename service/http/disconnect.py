"""Cancellation of a request's task when its client closes the connection."""

import asyncio
from collections.abc import Awaitable
from typing import TypeVar

from fastapi import Request
from starlette.types import Receive

from service.http.request_context import context_of
from service.inputs.body import client_gone

T = TypeVar("T")


async def while_connected(request: Request, awaitable: Awaitable[T]) -> T:
    """Await a task, and cancel it where the client closes the connection.

    The connection tells of its end by `RequestContext.disconnect`. A task of each request that waited for it
    would be one of the dearest parts of a small request.

    Raises:
        ServiceError: 499 `client_gone`, which only the metrics show.
    """
    context, task = context_of(request), asyncio.current_task()
    assert task is not None  # noqa: S101 (a coroutine runs in a task)
    left_before = context.disconnected
    if left_before:
        asyncio.ensure_future(awaitable).cancel()
        raise client_gone()
    context.waiting = task
    try:
        return await awaitable
    except asyncio.CancelledError:
        if not context.disconnected:
            raise
        task.uncancel()
        raise client_gone() from None
    finally:
        context.waiting = None


async def until_disconnected(receive: Receive) -> None:
    """Wait until the client closes the connection; the request's body has to be read already."""
    while (await receive())["type"] != "http.disconnect":
        pass
