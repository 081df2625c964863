"""Worker processes as the parent sees them, and the slots that they run in."""

from collections.abc import Iterable
from dataclasses import dataclass
from multiprocessing.context import SpawnProcess
from time import monotonic

from service.models.rollout import RolloutWorker
from service.system.channel import ParentEnd

_FIRST_DELAY = 1.0
_LONGEST_DELAY = 30.0
# A worker that was ready for longer has not died of a fault at its start.
_STABLE_SECONDS = 60.0


@dataclass(eq=False)
class WorkerProcess:
    """A running worker.

    Attributes:
        slot: where it runs.
        process: its process.
        channel: the parent's end of its channel.
        rollout_worker: its state in rollouts of model versions.
        handed: connections given to it.
        ended: those of them that it has reported as ended.
        serving: it answers connections.
        ready_since: time at which it became ready, by `monotonic`.
        reason: why it failed, as it has reported.
    """

    slot: "Slot"
    process: SpawnProcess
    channel: ParentEnd
    rollout_worker: RolloutWorker
    handed: int = 0
    ended: int = 0
    serving: bool = False
    ready_since: float | None = None
    reason: str = ""

    @property
    def connections(self) -> int:
        """Connections that are open."""
        return self.handed - self.ended

    @property
    def is_running(self) -> bool:
        """Whether the worker still runs in its slot."""
        return self.slot.worker is self


@dataclass(eq=False)
class Slot:
    """Slot for one worker.

    Attributes:
        number: counted from 0.
        worker: None until a worker is started.
        due: time to start one, by `monotonic`.
        deaths: workers in a row that died soon after their start, and the one before them.
    """

    number: int
    worker: WorkerProcess | None = None
    due: float = 0.0
    deaths: int = 0

    def replace_dead(self, ready_since: float | None) -> float:
        """Schedule the replacement of a dead worker; return the delay in seconds.

        The delay is 0 for a worker that was ready for a minute, and doubles with every one that was not.
        """
        now = monotonic()
        stable = ready_since is not None and now - ready_since > _STABLE_SECONDS
        self.deaths = 1 if stable else self.deaths + 1
        delay = 0.0
        if self.deaths > 1:
            delay = min(_LONGEST_DELAY, _FIRST_DELAY * 2 ** (self.deaths - 2))
        self.due = now + delay
        return delay


def candidates(workers: Iterable[WorkerProcess]) -> list[WorkerProcess]:
    """Return the workers that may be given a connection, those with fewest connections first.

    They are the ready ones; where no worker is ready, those that can answer 503 `not_ready`. Among equals,
    the worker that was given fewest connections so far comes first.
    """
    serving = [worker for worker in workers if worker.serving and not worker.channel.closed]
    ready = [worker for worker in serving if worker.ready_since is not None]
    return sorted(ready or serving, key=lambda worker: (worker.connections, worker.handed))
