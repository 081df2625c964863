"""Threads that are watched: one that dies is noticed, said so, and replaced."""

import asyncio
import contextlib
import logging
from collections.abc import Callable
from threading import Thread, current_thread
from time import monotonic

from service.metrics import THREAD_DEATHS

logger = logging.getLogger(__name__)

_CALM_SECONDS = 10.0
_FIRST_DELAY = 0.1
_LONGEST_DELAY = 5.0

Body = Callable[[Callable[[], None]], None]
"""What a thread runs: it calls its argument once it is fit for work, and returns to end in peace."""


class ThreadPool:
    """A fixed number of threads with the same body. Everything but the body runs on one event loop.

    Attributes:
        name: what the threads do.
        reason: why not every thread is alive and fit for work; empty when all are.
    """

    def __init__(self, name: str, size: int, body: Body) -> None:
        self.name = name
        self.reason = f"The {name} threads have not started."
        self._size = size
        self._body = body
        self._fit: dict[Thread, bool] = {}
        self._complete = asyncio.Event()
        self._ending = False
        self._stillborn = 0
        self._delay = 0.0
        self._last_death = -_CALM_SECONDS

    @property
    def failed(self) -> bool:
        """Whether no thread works and a replacement died unfit: what waits now waits for nothing."""
        return self._stillborn > 0 and not any(self._fit.values())

    async def start(self) -> None:
        """Start the threads and wait until all are fit."""
        self._loop = asyncio.get_running_loop()
        for _ in range(self._size):
            self._start_one()
        await self._complete.wait()

    async def join(self, patience: float) -> None:
        """Wait at most `patience` seconds for threads that were told to return; leave those that hang."""
        self._ending = True
        deadline = monotonic() + patience
        for thread in list(self._fit):
            await asyncio.to_thread(thread.join, max(0.0, deadline - monotonic()))

    def _start_one(self) -> None:
        if self._ending:
            return
        # A daemon, since a run that hangs in a driver must not keep the process from ending.
        thread = Thread(target=self._live, name=f"infomax-{self.name}", daemon=True)
        self._fit[thread] = False
        thread.start()

    def _live(self) -> None:
        thread = current_thread()
        try:
            self._body(lambda: self._tell(lambda: self._on_fit(thread)))
        except BaseException as error:
            # Not only Exception: whatever ends the thread, the callers behind it must not wait for ever.
            logger.exception("a thread of the %s crew died", self.name)
            cause = f"{type(error).__name__}: {error}"
            self._tell(lambda: self._on_death(thread, cause))

    def _tell(self, what: Callable[[], None]) -> None:
        # A loop that is closed has nobody left who could want to know.
        with contextlib.suppress(RuntimeError):
            self._loop.call_soon_threadsafe(what)

    def _on_fit(self, thread: Thread) -> None:
        self._fit[thread] = True
        self._stillborn = 0
        if len(self._fit) == self._size and all(self._fit.values()):
            self.reason = ""
            self._complete.set()

    def _on_death(self, thread: Thread, cause: str) -> None:
        was_fit = self._fit.pop(thread)
        self._stillborn += not was_fit
        self.reason = f"A thread of the {self.name} crew died ({cause}); its replacement is not fit yet."
        THREAD_DEATHS.labels(self.name).inc()
        now = monotonic()
        calm = now - self._last_death > _CALM_SECONDS
        self._delay = 0.0 if calm else min(_LONGEST_DELAY, max(_FIRST_DELAY, 2 * self._delay))
        self._last_death = now
        self._loop.call_later(self._delay, self._start_one)
