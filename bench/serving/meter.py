"""Use of the cores during a measurement."""

from dataclasses import dataclass
from time import perf_counter

import psutil

from bench.serving.running import Running

_NOT_BUSY = ("idle", "iowait", "guest", "guest_nice")


@dataclass(frozen=True)
class Cores:
    """Average number of cores used by the load, the server, and other programs."""

    client: float
    server: float
    others: float


class Meter:
    """Meter that runs from its construction."""

    def __init__(self, server: Running) -> None:
        self._server = server
        self._server_at_start = server.cpu_seconds()
        self._all_at_start = busy_seconds()
        self._started = perf_counter()

    def read(self, client_seconds: float) -> Cores:
        """Read the meter; `client_seconds` is the use of the load, which has ended by now."""
        seconds = perf_counter() - self._started
        server = self._server.cpu_seconds() - self._server_at_start
        everything = busy_seconds() - self._all_at_start
        # The system counts in hundredths of a second.
        others = max(0.0, everything - server - client_seconds)
        return Cores(client_seconds / seconds, server / seconds, others / seconds)


def busy_seconds() -> float:
    """Read the busy seconds of all cores since the machine started."""
    times = psutil.cpu_times()._asdict()
    # The use of guest systems is part of `user` already.
    return sum(float(times[name]) for name in times if name not in _NOT_BUSY)
