"""Who used the cores during a measurement."""

from dataclasses import dataclass
from time import perf_counter

import psutil

from bench.serving.running import Running

_NOT_BUSY = ("idle", "iowait", "guest", "guest_nice")


@dataclass(frozen=True)
class Cores:
    """Cores in use on the average: by the load, by the server, by everything else on the machine."""

    client: float
    server: float
    others: float


class Meter:
    """Runs from its making on."""

    def __init__(self, server: Running) -> None:
        self._server = server
        self._server_at_start = server.cpu_seconds()
        self._all_at_start = busy_seconds()
        self._started = perf_counter()

    def read(self, client_seconds: float) -> Cores:
        """Of the time since; `client_seconds` is what the load used, which has ended by now."""
        seconds = perf_counter() - self._started
        server = self._server.cpu_seconds() - self._server_at_start
        everything = busy_seconds() - self._all_at_start
        # The system counts in hundredths of a second.
        others = max(0.0, everything - server - client_seconds)
        return Cores(client_seconds / seconds, server / seconds, others / seconds)


def busy_seconds() -> float:
    """What all cores of the machine together have worked since it started."""
    times = psutil.cpu_times()._asdict()
    # What a guest system uses is in `user` already.
    return sum(float(times[name]) for name in times if name not in _NOT_BUSY)
