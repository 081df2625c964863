"""Body of a streamed request, and behind it the end of its connection."""

import asyncio
from collections.abc import AsyncIterator

from starlette.requests import ClientDisconnect
from starlette.types import Receive

from service.errors import ServiceError


class DuplexBody:
    """Body that is read while its answer is written. One caller reads at a time."""

    def __init__(self, receive: Receive) -> None:
        self._receive = receive
        self._complete = asyncio.Event()
        self._broken_off = False

    def is_coming(self) -> bool:
        """Whether more is to come: the body has not ended, and the client has not stopped sending."""
        return not self._complete.is_set() and not self._broken_off

    async def pieces(self) -> AsyncIterator[bytes]:
        """Yield the body as it arrives.

        Raises:
            ClientDisconnect: the connection was closed before the end of the body.
            ServiceError: 408 `client_too_slow`.
        """
        while not self._complete.is_set():
            if piece := await self._next():
                yield piece

    async def until_disconnected(self) -> None:
        """Wait until the client closes the connection after the end of its body."""
        await self._complete.wait()
        while (await self._receive())["type"] != "http.disconnect":
            pass

    async def discard(self) -> None:
        """Read and discard the rest of the body, so that a client that sends first can read its answer.

        Raises:
            ClientDisconnect, ServiceError: as `pieces`.
        """
        while not self._complete.is_set():
            await self._next()

    async def _next(self) -> bytes:
        try:
            message = await self._receive()
            if message["type"] == "http.disconnect":
                raise ClientDisconnect
        except (ServiceError, ClientDisconnect):
            self._broken_off = True
            raise
        if not message.get("more_body", False):
            self._complete.set()
        piece: bytes = message.get("body", b"")
        return piece
