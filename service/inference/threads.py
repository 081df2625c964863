"""Thread pool whose dead threads are counted, logged and replaced."""

import asyncio
import contextlib
import logging
from collections.abc import Callable
from threading import Thread, current_thread
from time import monotonic

from service.metrics import THREAD_DEATHS

logger = logging.getLogger(__name__)

_STABLE_SECONDS = 10.0
_FIRST_DELAY = 0.1
_LONGEST_DELAY = 5.0

Body = Callable[[Callable[[], None]], None]
"""Function of a thread: it calls its argument once it is ready, and returns when it is told to end."""


class ThreadPool:
    """Fixed number of threads with the same body. All methods belong to one event loop.

    Attributes:
        name: stage of the threads.
        reason: why not every thread is ready; empty where all are.
    """

    def __init__(self, name: str, size: int, body: Body) -> None:
        self.name = name
        self.reason = f"The {name} threads have not started."
        self._size = size
        self._body = body
        self._ready: dict[Thread, bool] = {}
        self._complete = asyncio.Event()
        self._ending = False
        self._early_deaths = 0
        self._delay = 0.0
        self._last_death = -_STABLE_SECONDS

    @property
    def failed(self) -> bool:
        """Whether no thread is ready and a replacement died early, so that no call will be answered."""
        return self._early_deaths > 0 and not any(self._ready.values())

    async def start(self) -> None:
        """Start the threads, and wait until all are ready."""
        self._loop = asyncio.get_running_loop()
        for _ in range(self._size):
            self._start_one()
        await self._complete.wait()

    async def join(self, seconds: float) -> None:
        """Wait at most `seconds` for threads that were told to end; leave those that hang."""
        self._ending = True
        deadline = monotonic() + seconds
        for thread in list(self._ready):
            await asyncio.to_thread(thread.join, max(0.0, deadline - monotonic()))

    def _start_one(self) -> None:
        if self._ending:
            return
        # A daemon, because a run that hangs in a driver must not keep the process alive.
        thread = Thread(target=self._live, name=f"infomax-{self.name}", daemon=True)
        self._ready[thread] = False
        thread.start()

    def _live(self) -> None:
        thread = current_thread()
        try:
            self._body(lambda: self._notify(lambda: self._on_ready(thread)))
        except BaseException as error:
            # Not only Exception: the callers must not wait for ever.
            logger.exception("a %s thread died", self.name)
            cause = f"{type(error).__name__}: {error}"
            self._notify(lambda: self._on_death(thread, cause))

    def _notify(self, callback: Callable[[], None]) -> None:
        # After the loop is closed, nothing depends on the thread any more.
        with contextlib.suppress(RuntimeError):
            self._loop.call_soon_threadsafe(callback)

    def _on_ready(self, thread: Thread) -> None:
        self._ready[thread] = True
        self._early_deaths = 0
        if len(self._ready) == self._size and all(self._ready.values()):
            self.reason = ""
            self._complete.set()

    def _on_death(self, thread: Thread, cause: str) -> None:
        was_ready = self._ready.pop(thread)
        self._early_deaths += not was_ready
        self.reason = f"A {self.name} thread died ({cause}). Its replacement is not ready yet."
        THREAD_DEATHS.labels(self.name).inc()
        now = monotonic()
        stable = now - self._last_death > _STABLE_SECONDS
        self._delay = 0.0 if stable else min(_LONGEST_DELAY, max(_FIRST_DELAY, 2 * self._delay))
        self._last_death = now
        self._loop.call_later(self._delay, self._start_one)
