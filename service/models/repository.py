"""Served versions as the parent knows them, and the changes of them: examined, rolled out, reported."""

import logging
import socket
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import Future
from contextlib import suppress
from dataclasses import dataclass, field
from threading import Thread

from contract.errors import InfomaxError
from service.inference.locating import locate
from service.models.messages import LoadRequest, LoadResult
from service.models.rollout import Rollout, RolloutWorker, Stage
from service.models.statuses import VersionStatuses
from service.models.version import Version, examine
from service.settings import Settings

logger = logging.getLogger(__name__)


@dataclass(eq=False)
class _Change:
    """Change of the version that an entry of the settings is served by.

    Attributes:
        entry: the entry.
        id: the wanted version: `name`, `name/version`, and `name/version` once it was located.
        requester: worker to report the result to; None for a reload.
        token: token of the worker's load request.
        version: result of the examination.
        rollout: the rollout, once the version was examined.
    """

    entry: str
    id: str
    requester: RolloutWorker | None = None
    token: str = ""
    version: Future[Version] = field(default_factory=Future)
    rollout: Rollout | None = None


class Repository:
    """Queue of changes: one at a time, in the order of the requests. A thread reads the files."""

    def __init__(
        self,
        settings: Settings,
        versions: Iterable[Version],
        examine: Callable[[Settings, str, str], Version] = examine,
    ) -> None:
        """Change nothing yet.

        Args:
            settings: of the service.
            versions: those that the workers start with, the default one first.
            examine: finds and checks the version for an entry of the settings.
        """
        self._settings = settings
        self._find_version = examine
        self._served = {version.entry: version for version in versions}
        self._statuses = VersionStatuses()
        self._waiting: deque[_Change] = deque()
        self._current: _Change | None = None
        self._rollouts = 0
        self._awake, self._wake = socket.socketpair()
        self._awake.setblocking(False)

    def close(self) -> None:
        """Close the descriptors."""
        self._awake.close()
        self._wake.close()

    def fileno(self) -> int:
        """Return a descriptor for a selector; readable after an examination, until `drain`."""
        return self._awake.fileno()

    def drain(self) -> None:
        """Make `fileno` unreadable again."""
        self._awake.recv(64)

    @property
    def versions(self) -> tuple[Version, ...]:
        """Versions that a worker which starts now has to serve, the default one first."""
        return tuple(self._served.values())

    @property
    def busy(self) -> bool:
        """Whether a change is under way or waits."""
        return self._current is not None or bool(self._waiting)

    def reload(self) -> None:
        """Load the versions that the entries of the settings mean now, where these are other ones."""
        reloading = {change.entry for change in self._waiting if change.requester is None}
        self._waiting.extend(_Change(entry, entry) for entry in self._served if entry not in reloading)

    def load(self, request: LoadRequest, requester: RolloutWorker) -> None:
        """Load the version that a worker's client has asked for."""
        name = request.entry.partition("/")[0]
        wanted = request.entry if request.version is None else f"{name}/{request.version}"
        self._waiting.append(_Change(request.entry, wanted, requester, request.token))

    def advance(self, workers: Sequence[RolloutWorker]) -> None:
        """Do what can be done now; `workers` are those that live."""
        change = self._current
        if change is not None and change.rollout is not None:
            self._advance_rollout(change, change.rollout, workers)
        elif change is not None and change.version.done():
            self._begin_rollout(change, workers)
        if self._current is None and self._waiting:
            self._current = self._waiting.popleft()
            Thread(target=self._examine, args=(self._current,), name="infomax-examine", daemon=True).start()
        self._statuses.send_to(workers)

    def _examine(self, change: _Change) -> None:
        """Locate and check the wanted version; runs in a thread."""
        try:
            folder = locate(self._settings.models_dir, change.id)
            change.id = f"{folder.parent.name}/{folder.name}"
            change.version.set_result(self._find_version(self._settings, change.entry, change.id))
        except InfomaxError as error:
            change.version.set_exception(error)
        except Exception as error:
            logger.exception("%s cannot be examined", change.id)
            change.version.set_exception(InfomaxError(f"{change.id} cannot be examined ({error!r})."))
        # Closed where the service ended meanwhile.
        with suppress(OSError):
            self._wake.send(b"x")

    def _begin_rollout(self, change: _Change, workers: Sequence[RolloutWorker]) -> None:
        try:
            version = change.version.result()
        except InfomaxError as error:
            self._fail(change, str(error))
            return
        if version == self._served[change.entry]:
            logger.info("%s is served already", version.id)
            self._statuses.clear_failure(change.entry)
            self._finish(change)
            return
        logger.info("%s is being loaded", version.id)
        self._statuses.loading(change.entry, version.id)
        self._rollouts += 1
        change.rollout = Rollout(self._rollouts, version)
        change.rollout.advance(workers)

    def _advance_rollout(self, change: _Change, rollout: Rollout, workers: Sequence[RolloutWorker]) -> None:
        before = rollout.stage
        rollout.advance(workers)
        if rollout.stage is Stage.FAILED:
            self._fail(change, rollout.failure)
        elif rollout.stage is Stage.DONE:
            self._finish(change)
        elif rollout.stage is not before:
            self._replace(rollout.version, workers)

    def _replace(self, version: Version, workers: Sequence[RolloutWorker]) -> None:
        """Serve a version from now on, also by workers that start later."""
        before = self._served[version.entry]
        self._served[version.entry] = version
        self._statuses.activated(version.entry, version.id, before.id)
        for one in workers:
            one.outdated = one.outdated or not one.ready
        logger.info("%s is served in place of %s", version.id, before.id)

    def _fail(self, change: _Change, reason: str) -> None:
        serving = self._served[change.entry].id
        logger.error("%s was not loaded, %s serves on: %s", change.id, serving, reason)
        self._statuses.failed(change.entry, change.id, reason)
        self._finish(change, f"{change.id} was not loaded, {serving} serves on: {reason}")

    def _finish(self, change: _Change, reason: str = "") -> None:
        self._current = None
        if change.requester is not None:
            change.requester.send(LoadResult(change.token, reason))
