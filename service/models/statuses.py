"""States of the versions that are not served, as the parent keeps them for its workers."""

from collections.abc import Sequence
from time import time
from typing import Literal

from service.models.messages import StatusUpdate, VersionStatus
from service.models.rollout import RolloutWorker

# Retired versions remembered for each entry of the settings.
_MOST_RETIRED = 5


class VersionStatuses:
    """One status for each version that is loading, has failed or is retired, oldest first."""

    def __init__(self) -> None:
        self._statuses: tuple[VersionStatus, ...] = ()

    def loading(self, entry: str, id_: str) -> None:
        """Note that workers load a version."""
        self._add(VersionStatus(entry, id_, "loading", time()))

    def failed(self, entry: str, id_: str, reason: str) -> None:
        """Note that a version will not be served; an earlier failure of the entry is past."""
        self._remove(entry, "loading", "failed")
        self._add(VersionStatus(entry, id_, "failed", time(), reason))

    def activated(self, entry: str, id_: str, before: str) -> None:
        """Note that a version is served, in favour of the one before it."""
        self.clear_failure(entry)
        self._remove(entry, "loading")
        self._statuses = tuple(one for one in self._statuses if (one.entry, one.id) != (entry, id_))
        if before != id_:
            self._add(VersionStatus(entry, before, "retired", time()))

    def clear_failure(self, entry: str) -> None:
        """Forget the failed version of an entry."""
        self._remove(entry, "failed")

    def send_to(self, workers: Sequence[RolloutWorker]) -> None:
        """Send the statuses to every worker that has older ones."""
        for one in workers:
            if one.statuses != self._statuses:
                one.send(StatusUpdate(self._statuses))
                one.statuses = self._statuses

    def _remove(self, entry: str, *states: Literal["loading", "failed"]) -> None:
        self._statuses = tuple(one for one in self._statuses if one.entry != entry or one.state not in states)

    def _add(self, status: VersionStatus) -> None:
        """Add a status, in place of an older one of the same version."""
        others = [one for one in self._statuses if (one.entry, one.id) != (status.entry, status.id)]
        retired = [one for one in others if one.entry == status.entry and one.state == "retired"]
        surplus = retired[: max(0, len(retired) + 1 - _MOST_RETIRED)]
        self._statuses = (*(one for one in others if one not in surplus), status)
