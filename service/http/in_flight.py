"""The requests of one process that are in flight, and whether new ones are taken."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager, suppress


class InFlight:
    """A gate with a counter. All of it runs on one event loop.

    Attributes:
        closed: whether new requests are refused.
    """

    def __init__(self) -> None:
        self.closed = False
        self._in_flight = 0
        self._none_in_flight = asyncio.Event()
        self._none_in_flight.set()

    def close(self) -> None:
        """Take no new requests."""
        self.closed = True

    @contextmanager
    def passing(self) -> Iterator[None]:
        """Count one request as in flight."""
        self._in_flight += 1
        self._none_in_flight.clear()
        try:
            yield
        finally:
            self._in_flight -= 1
            if not self._in_flight:
                self._none_in_flight.set()

    async def until_quiet(self, seconds: float) -> None:
        """Wait until nothing is in flight, at most for so long."""
        with suppress(TimeoutError):
            await asyncio.wait_for(self._none_in_flight.wait(), seconds)
