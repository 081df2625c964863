"""Threads that draw pictures: one for ordinary images, and one for large ones.

A picture is made from the image at its full size, and takes as long as dozens of embeddings. It must neither
take the cores of embeddings, nor delay other pictures because its own image is large.
"""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from time import perf_counter

from service.errors import ServiceError, shown_seconds

_MOST_WAITING = 32
_FIRST_GUESS_SECONDS = 0.1
_LARGE_PIXELS = 4_000_000
# Weight of the latest picture in the running mean of the seconds that one takes.
_NEWEST_SHARE = 0.3


class Painter:
    """Two threads with a short queue before each. All methods belong to one event loop."""

    def __init__(self) -> None:
        self._ordinary, self._large = _Queue(), _Queue()

    async def paint(self, draw: Callable[[], bytes], pixels: int, longest_wait: float) -> bytes:
        """Run `draw` in a thread.

        Args:
            draw: draws one picture.
            pixels: pixels of its image.
            longest_wait: limit of the seconds until the pictures before it are drawn.

        Raises:
            ServiceError: 503 `overloaded` when too many pictures wait.
            Exception: the error of `draw`.
        """
        queue = self._large if pixels > _LARGE_PIXELS else self._ordinary
        return await queue.run(draw, longest_wait)


class _Queue:
    """One thread with its queue, and the mean time of a picture."""

    def __init__(self) -> None:
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="paint")
        self._waiting = 0
        self._seconds = _FIRST_GUESS_SECONDS

    async def run(self, draw: Callable[[], bytes], longest_wait: float) -> bytes:
        seconds = self._waiting * self._seconds
        if self._waiting >= _MOST_WAITING or (self._waiting > 1 and seconds > longest_wait):
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
        self._seconds += _NEWEST_SHARE * (perf_counter() - started - self._seconds)
        return picture
