"""What all processes of a server hold, looked at while something runs."""

import threading
from time import perf_counter
from types import TracebackType

import numpy as np
import psutil

from tests.end_to_end.server import Server

_PARTS = 10


class Memory:
    """A thread that looks again and again.

    Attributes:
        seconds, mebibytes: when it looked, since the beginning, and what it saw: resident in all processes.
    """

    def __init__(self, server: Server, every: float) -> None:
        """`every` is in seconds. The embedded PostgreSQL does not count: its cache grows up to a setting."""
        self.seconds: list[float] = []
        self.mebibytes: list[float] = []
        self._processes = [psutil.Process(server.pid), *server.workers()]
        self._every = every
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)

    def __enter__(self) -> "Memory":
        self._started = perf_counter()
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._ended.set()
        self._thread.join()

    def figures(self) -> dict[str, float]:
        """First, highest and last value."""
        first, highest, last = self.mebibytes[0], max(self.mebibytes), self.mebibytes[-1]
        return {"first_mib": round(first, 1), "highest_mib": round(highest, 1), "last_mib": round(last, 1)}

    def course(self) -> list[int]:
        """The median of each tenth of the time, in mebibytes: does what grows come to an end?"""
        return [round(float(np.median(part))) for part in np.array_split(self.mebibytes, _PARTS) if len(part)]

    def growth(self, warm_up: float) -> float:
        """By which share of itself the memory grew after `warm_up` seconds: from the line that fits best."""
        seconds, mebibytes = np.array(self.seconds), np.array(self.mebibytes)
        chosen = seconds >= warm_up
        if chosen.sum() < 2:
            return 0.0
        slope, _ = np.polyfit(seconds[chosen], mebibytes[chosen], 1)
        return float(slope * np.ptp(seconds[chosen]) / np.median(mebibytes[chosen]))

    def _watch(self) -> None:
        ended = False
        while not ended:
            ended = self._ended.wait(self._every)
            self.seconds.append(perf_counter() - self._started)
            self.mebibytes.append(sum(one.memory_info().rss for one in self._processes) / 2**20)
