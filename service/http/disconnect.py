"""Cancellation of a request's task when its client closes the connection."""

from collections.abc import Awaitable
from typing import TypeVar

from fastapi import Request
from starlette.types import Receive

from service.inputs.body import client_gone
from service.system.race import Superseded, unless

T = TypeVar("T")


async def while_connected(request: Request, awaitable: Awaitable[T]) -> T:
    """Await a task, and cancel it where the client closes the connection.

    The request's body has to be read already.

    Raises:
        ServiceError: 499 `client_gone`, which only the metrics show.
    """
    try:
        return await unless(lambda: until_disconnected(request.receive), awaitable)
    except Superseded:
        raise client_gone() from None


async def until_disconnected(receive: Receive) -> None:
    """Wait until the client closes the connection; the request's body has to be read already."""
    while (await receive())["type"] != "http.disconnect":
        pass
