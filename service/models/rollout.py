"""Rollout of a new model version: workers prepare it one after the other and activate it together.

One at a time, because loading and warm-up take a core that the other workers then have for requests.
Together, because a client that the new version has answered should not meet the old one again. Nothing
changes until every worker is prepared, so a version that fails anywhere is served nowhere.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import Enum
from time import monotonic

from service.models.messages import (
    Activate,
    Activated,
    Drop,
    ParentMessage,
    Prepare,
    Prepared,
    Refused,
    RolloutReport,
    VersionStatus,
    write,
)
from service.models.version import Version
from service.system.channel import ParentEnd

# For one worker to load, warm up and test a version; TensorRT may build its engines meanwhile.
_PREPARE_SECONDS = 900.0
# For a worker whose event loop is free to exchange one version for another.
_ACTIVATE_SECONDS = 30.0


@dataclass(eq=False)
class RolloutWorker:
    """A worker, as rollouts see it.

    Attributes:
        channel: takes the messages for it.
        ready: it answers requests.
        report: its latest report on a rollout.
        outdated: it was starting with a version that another has replaced.
        statuses: the latest status update that it was sent.
    """

    channel: ParentEnd
    ready: bool = False
    report: RolloutReport | None = None
    outdated: bool = False
    statuses: tuple[VersionStatus, ...] = ()

    def send(self, message: ParentMessage) -> None:
        """Send it a message."""
        self.channel.send(write(message))

    def has_prepared(self, number: int) -> bool:
        """Whether its latest report is that it has prepared this rollout."""
        return isinstance(self.report, Prepared) and self.report.number == number

    def has_activated(self, number: int) -> bool:
        """Whether its latest report is that it has activated this rollout."""
        return isinstance(self.report, Activated) and self.report.number == number


class Stage(Enum):
    """Stage of a rollout."""

    PREPARING = "preparing"
    """Workers load the version; it is served nowhere yet."""
    ACTIVATING = "activating"
    """Every worker was prepared and told to activate; nothing can fail any more."""
    DONE = "done"
    """Every worker serves the version."""
    FAILED = "failed"
    """The version will not be served; the attribute `failure` holds the reason."""


class Rollout:
    """State machine of one rollout; advanced on every event, it never blocks.

    Attributes:
        number: greater than those before it.
        version: what is rolled out.
        stage: how far it is.
        failure: why the version will not be served.
    """

    def __init__(self, number: int, version: Version, clock: Callable[[], float] = monotonic) -> None:
        self.number = number
        self.version = version
        self.stage = Stage.PREPARING
        self.failure = ""
        self._clock = clock
        self._deadline = 0.0
        self._preparing: RolloutWorker | None = None
        self._activating: Sequence[RolloutWorker] = ()

    def advance(self, workers: Sequence[RolloutWorker]) -> None:
        """Do what can be done now; `workers` are those that live."""
        if self.stage is Stage.PREPARING:
            self._prepare(workers)
        elif self.stage is Stage.ACTIVATING:
            behind = [
                one for one in self._activating if one in workers and not one.has_activated(self.number)
            ]
            if not behind or self._clock() > self._deadline:
                self.stage = Stage.DONE

    def _prepare(self, workers: Sequence[RolloutWorker]) -> None:
        if self._preparing is not None:
            if failure := self._failure_of(self._preparing, workers):
                self._fail(failure, workers)
                return
            if not self._preparing.has_prepared(self.number):
                return
            self._preparing = None
        ready = [one for one in workers if one.ready]
        for one in ready:
            if not one.has_prepared(self.number):
                self._preparing = one
                self._deadline = self._clock() + _PREPARE_SECONDS
                one.send(Prepare(self.number, self.version))
                return
        if ready:
            self._activate(ready)

    def _failure_of(self, one: RolloutWorker, workers: Sequence[RolloutWorker]) -> str:
        """Why the worker that prepares has failed, in one sentence; empty where it has not."""
        if one not in workers:
            return (
                f"A worker process ended while it loaded {self.version.id}; is there enough memory for two "
                "versions?"
            )
        if isinstance(one.report, Refused) and one.report.number == self.number:
            return one.report.reason
        if not one.has_prepared(self.number) and self._clock() > self._deadline:
            return f"{self.version.id} was not ready after {_PREPARE_SECONDS:.0f} seconds."
        return ""

    def _fail(self, failure: str, workers: Sequence[RolloutWorker]) -> None:
        self.stage = Stage.FAILED
        self.failure = failure
        for one in workers:
            one.send(Drop(self.number))

    def _activate(self, ready: Sequence[RolloutWorker]) -> None:
        for one in ready:
            one.send(Activate(self.number))
        self.stage = Stage.ACTIVATING
        self._activating = ready
        self._deadline = self._clock() + _ACTIVATE_SECONDS
