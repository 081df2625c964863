"""The models as the parent sees them: what is served, what is to take its place, and what became of it."""

import logging
import socket
from collections import deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from queue import SimpleQueue
from threading import Thread
from time import time

from contract.errors import InfomaxError
from service.inference.model import locate
from service.models.messages import LoadResult, StatusUpdate, VersionStatus, read_load_request, write
from service.models.rollout import Rollout, RolloutWorker
from service.models.version import Version, find_version
from service.settings import Settings

logger = logging.getLogger(__name__)

# Of each entry of the settings, how many retired versions are remembered.
_MOST_RETIRED = 5


@dataclass(frozen=True)
class _Request:
    """A version to be loaded.

    Attributes:
        entry: of the settings, whose version may be replaced.
        model: what is wanted, `name/version`; None for what the entry means now.
        asker, token: the worker that wants to know how it ended, and the name of its wish.
    """

    entry: str
    model: str | None = None
    asker: RolloutWorker | None = None
    token: str = ""


@dataclass(frozen=True)
class _Finding:
    """What a request turned out to mean: a version, or the reason why there is none."""

    request: _Request
    id: str
    version: Version | None
    reason: str = ""


class Repository:
    """One load at a time, in the order of the requests. It blocks nobody: files are read in a thread.

    Attributes:
        edition: counts the changes of what is served.
    """

    def __init__(self, settings: Settings, versions: Iterable[Version]) -> None:
        """`versions` are those that the workers start with, the default one first."""
        self.edition = 0
        self._settings = settings
        self._served = {version.entry: version for version in versions}
        self._statuses: list[VersionStatus] = []
        self._updates = 0
        self._requests: deque[_Request] = deque()
        self._examined: _Request | None = None
        self._findings: SimpleQueue[_Finding] = SimpleQueue()
        self._rollout: Rollout | None = None
        self._request: _Request | None = None
        self._rollouts = 0
        self._awake, self._wake = socket.socketpair()
        self._awake.setblocking(False)

    def close(self) -> None:
        self._awake.close()
        self._wake.close()

    def fileno(self) -> int:
        """Readable when there may be something to do, until `drain`; for a selector."""
        return self._awake.fileno()

    def drain(self) -> None:
        """Make `fileno` unreadable again."""
        self._awake.recv(64)

    @property
    def versions(self) -> tuple[Version, ...]:
        """What a worker that starts now has to serve."""
        return tuple(self._served.values())

    @property
    def busy(self) -> bool:
        """Whether something is being loaded."""
        return self._rollout is not None or self._examined is not None or bool(self._requests)

    def reload(self) -> None:
        """See whether the entries of the settings mean other versions now, and load those."""
        for entry in self._served:
            request = _Request(entry)
            if request not in self._requests:
                self._requests.append(request)

    def load_request(self, asker: RolloutWorker, text: str) -> None:
        """A worker's client wants a version loaded."""
        load_request = read_load_request(text)
        name = load_request.entry.partition("/")[0]
        model = None if load_request.version is None else f"{name}/{load_request.version}"
        self._requests.append(_Request(load_request.entry, model, asker, load_request.token))

    def advance(self, workers: Sequence[RolloutWorker]) -> None:
        """Do what can be done now; `workers` are those that live."""
        if not self._findings.empty():
            self._begin(self._findings.get())
        if self._rollout is not None:
            self._follow(self._rollout, workers)
        if self._requests and self._rollout is None and self._examined is None:
            self._examined = self._requests.popleft()
            Thread(target=self._examine, args=(self._examined,), name="infomax-examine", daemon=True).start()
        for one in workers:
            if one.told < self._updates:
                one.channel.send(write(StatusUpdate(tuple(self._statuses))))
                one.told = self._updates

    def _examine(self, request: _Request) -> None:
        """Find out what a request means; in a thread of its own."""
        wanted = request.model or request.entry
        try:
            folder = locate(self._settings.models_dir, wanted)
            wanted = f"{folder.parent.name}/{folder.name}"
            finding = _Finding(request, wanted, find_version(self._settings, request.entry, wanted))
        except InfomaxError as error:
            finding = _Finding(request, wanted, None, str(error))
        except Exception as error:
            logger.exception("%s cannot be examined", wanted)
            finding = _Finding(request, wanted, None, f"{wanted} cannot be examined ({error!r}).")
        self._findings.put(finding)
        self._wake.send(b"x")

    def _begin(self, finding: _Finding) -> None:
        self._examined = None
        if finding.version is None:
            self._fail(finding.request, finding.id, finding.reason)
        elif finding.version == self._served[finding.request.entry]:
            logger.info("%s is served already", finding.id)
            self._forget(finding.request.entry, "failed")
            self._conclude(finding.request)
        else:
            logger.info("%s is being loaded", finding.id)
            self._note(VersionStatus(finding.request.entry, finding.id, "loading", time()))
            self._rollouts += 1
            self._rollout, self._request = Rollout(self._rollouts, finding.version), finding.request

    def _follow(self, rollout: Rollout, workers: Sequence[RolloutWorker]) -> None:
        decided = rollout.decided
        rollout.advance(workers)
        version, request = rollout.version, self._request
        assert request is not None  # noqa: S101 (it was set together with the rollout)
        if rollout.failure:
            rollout.give_up(workers)
            self._rollout = None
            self._fail(request, version.id, rollout.failure)
        elif rollout.decided and not decided:
            self._replace(version)
            for one in workers:
                if one.ready:
                    one.edition = self.edition
        elif rollout.done:
            self._rollout = None
            self._conclude(request)

    def _replace(self, version: Version) -> None:
        before = self._served[version.entry]
        # From now on also for workers that take the place of dead ones.
        self._served[version.entry] = version
        self.edition += 1
        self._forget(version.entry, "failed", "loading")
        self._statuses = [
            status for status in self._statuses if (status.entry, status.id) != (version.entry, version.id)
        ]
        if before.id != version.id:
            self._note(VersionStatus(version.entry, before.id, "retired", time()))
        logger.info("%s is served in place of %s", version.id, before.id)

    def _fail(self, request: _Request, id_: str, reason: str) -> None:
        serving = self._served[request.entry].id
        logger.error("%s was not loaded, %s serves on: %s", id_, serving, reason)
        self._forget(request.entry, "failed", "loading")
        self._note(VersionStatus(request.entry, id_, "failed", time(), reason))
        self._conclude(request, f"{id_} was not loaded, {serving} serves on: {reason}")

    def _conclude(self, request: _Request, reason: str = "") -> None:
        if request.asker is not None:
            request.asker.channel.send(write(LoadResult(request.token, reason)))

    def _forget(self, entry: str, *states: str) -> None:
        self._statuses = [
            status for status in self._statuses if status.entry != entry or status.state not in states
        ]
        self._updates += 1

    def _note(self, status: VersionStatus) -> None:
        """Remember what became of a version, in place of what was known of it."""
        others = [one for one in self._statuses if (one.entry, one.id) != (status.entry, status.id)]
        retired = [one for one in others if one.entry == status.entry and one.state == "retired"]
        old = retired[: max(0, len(retired) + 1 - _MOST_RETIRED)]
        self._statuses = [*(one for one in others if one not in old), status]
        self._updates += 1
