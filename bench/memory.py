"""Resident memory of all processes of a server, sampled during a measurement."""

import threading
from time import perf_counter
from types import TracebackType

import numpy as np
import psutil

from tests.end_to_end.server import Server

_PARTS = 10


class Memory:
    """Sampler of the memory, in a thread.

    Attributes:
        seconds: times of the samples since the start.
        mebibytes: resident memory of all processes at these times.
    """

    def __init__(self, server: Server, every: float) -> None:
        """Sample every `every` seconds, without the embedded PostgreSQL: its cache grows up to a setting."""
        self.seconds: list[float] = []
        self.mebibytes: list[float] = []
        self._processes = [psutil.Process(server.pid), *server.workers()]
        self._every = every
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._sample, daemon=True)

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
        """Return the first, highest and last value."""
        first, highest, last = self.mebibytes[0], max(self.mebibytes), self.mebibytes[-1]
        return {"first_mib": round(first, 1), "highest_mib": round(highest, 1), "last_mib": round(last, 1)}

    def course(self) -> list[int]:
        """Return the median of each tenth of the time, in mebibytes, which shows whether growth ends."""
        return [round(float(np.median(part))) for part in np.array_split(self.mebibytes, _PARTS) if len(part)]

    def growth(self, warm_up: float) -> float:
        """Return the relative growth of the memory after `warm_up` seconds, by the line of best fit."""
        seconds, mebibytes = np.array(self.seconds), np.array(self.mebibytes)
        chosen = seconds >= warm_up
        if chosen.sum() < 2:
            return 0.0
        slope, _ = np.polyfit(seconds[chosen], mebibytes[chosen], 1)
        return float(slope * np.ptp(seconds[chosen]) / np.median(mebibytes[chosen]))

    def _sample(self) -> None:
        ended = False
        while not ended:
            ended = self._ended.wait(self._every)
            self.seconds.append(perf_counter() - self._started)
            self.mebibytes.append(sum(one.memory_info().rss for one in self._processes) / 2**20)
