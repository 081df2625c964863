"""Painter: one thread that draws pictures, and a short queue before it."""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from time import perf_counter

from service.errors import ServiceError, shown_seconds

_MOST_WAITING = 32
_FIRST_GUESS_SECONDS = 0.5


class Painter:
    """Painter of one picture at a time. All methods belong to one event loop.

    A picture costs as much as hundreds of embeddings, and must not take their cores.
    """

    def __init__(self) -> None:
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="paint")
        self._waiting = 0
        self._seconds = _FIRST_GUESS_SECONDS

    async def paint(self, draw: Callable[[], bytes]) -> bytes:
        """Run `draw` in the thread.

        Raises:
            ServiceError: 503 `overloaded` when too many pictures wait.
            Exception: the error of `draw`.
        """
        if self._waiting >= _MOST_WAITING:
            seconds = self._waiting * self._seconds
            raise ServiceError(
                503,
                "overloaded",
                f"{self._waiting} pictures wait to be drawn. Send the request again in "
                f"{shown_seconds(seconds)} seconds, or accept application/json.",
                retry_after=seconds,
            )
        self._waiting += 1
        try:
            return await asyncio.get_running_loop().run_in_executor(self._thread, self._timed, draw)
        finally:
            self._waiting -= 1

    def _timed(self, draw: Callable[[], bytes]) -> bytes:
        started = perf_counter()
        picture = draw()
        self._seconds = perf_counter() - started
        return picture
