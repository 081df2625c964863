"""A new model version on its way into all workers: prepared in one after the other, taken up by all at once.

One at a time, because loading and warming up cost the time of a core that the others then have for requests.
At once, because a client that has been answered by the new version should not meet the old one again. Until
every worker is prepared nothing has changed, so a version that fails anywhere is served nowhere.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from time import monotonic

from service.models.messages import Activate, Drop, Prepare, write
from service.models.version import Version
from service.system.channel import ParentEnd

# For one worker to load, warm up and test a version; TensorRT may build its engines meanwhile.
_PREPARE_SECONDS = 900.0
# For a worker whose event loop is free to exchange one version for another.
_TAKE_SECONDS = 30.0


@dataclass(eq=False)
class RolloutWorker:
    """A worker, as far as versions go.

    Attributes:
        line: where it takes orders.
        edition: of the set of versions that it serves.
        ready: it answers requests.
        prepared, taken: number of the rollout that it has last prepared, and taken up.
        refused: number of the rollout whose version it could not prepare, and why.
        told: number of the news that it has been told.
    """

    channel: ParentEnd
    edition: int
    ready: bool = False
    prepared: int = 0
    activated: int = 0
    refused: tuple[int, str] = (0, "")
    told: int = 0

    def note_refusal(self, text: str) -> None:
        """Take in a refusal as the worker writes it: a number and a reason."""
        number, _, reason = text.partition(" ")
        self.refused = (int(number), reason)


class Rollout:
    """A state machine that is advanced whenever something may have changed; it never blocks.

    Attributes:
        number: greater than those before it.
        version: what is rolled out.
        failure: why it will not be served; empty while it may.
        decided: every worker was prepared and told to take it up: it can fail no more.
        done: every worker has taken it up.
    """

    def __init__(self, number: int, version: Version, clock: Callable[[], float] = monotonic) -> None:
        self.number = number
        self.version = version
        self.failure = ""
        self.decided = False
        self.done = False
        self._clock = clock
        self._deadline = 0.0
        self._preparing: RolloutWorker | None = None
        self._told: Sequence[RolloutWorker] = ()

    def advance(self, workers: Sequence[RolloutWorker]) -> None:
        """Do what can be done now; `workers` are those that live."""
        if self.decided:
            behind = [one for one in self._told if one in workers and one.activated < self.number]
            self.done = not behind or self._clock() > self._deadline
            return
        if self._preparing is not None and not self._is_prepared(self._preparing, workers):
            return
        ready = [one for one in workers if one.ready]
        for one in ready:
            if one.prepared < self.number:
                one.channel.send(write(Prepare(self.number, self.version)))
                self._preparing = one
                self._deadline = self._clock() + _PREPARE_SECONDS
                return
        if ready:
            self._activate(ready)

    def give_up(self, workers: Sequence[RolloutWorker]) -> None:
        """Let the workers forget what they have prepared."""
        for one in workers:
            one.channel.send(write(Drop(self.number)))

    def _is_prepared(self, one: RolloutWorker, workers: Sequence[RolloutWorker]) -> bool:
        number, reason = one.refused
        if one not in workers:
            self.failure = (
                f"A worker process ended while it loaded {self.version.id}; is there enough memory for two "
                "versions?"
            )
        elif number == self.number:
            self.failure = reason
        elif one.prepared < self.number and self._clock() > self._deadline:
            self.failure = f"{self.version.id} was not ready after {_PREPARE_SECONDS:.0f} seconds."
        if self.failure or one.prepared < self.number:
            return False
        self._preparing = None
        return True

    def _activate(self, ready: Sequence[RolloutWorker]) -> None:
        for one in ready:
            one.channel.send(write(Activate(self.number)))
        self._told = ready
        self.decided = True
        self._deadline = self._clock() + _TAKE_SECONDS
