"""The queue between two stages: two lanes, many threads on both sides."""

from collections import deque
from collections.abc import Callable, Iterable
from threading import Condition, Lock

from service.core_table import CoreTable
from service.metrics import CANCELLED_ITEMS
from service.results import Lane
from service.work import Item

# Of a full batch, what bulk work keeps while interactive work waits: 1/8 keeps it from standing still.
_BULK_SHARE = 8
INTERACTIVE_SHARE = 1 - 1 / _BULK_SHARE


class LaneQueue:
    """Images in order of arrival, interactive before bulk; abandoned ones leave it unseen.

    It has no bound of its own: admission bounds what all stages hold together.
    """

    def __init__(self, stage: str, cores: CoreTable | None = None, plenty: int = 1) -> None:
        """Make an empty one.

        Args:
            stage: what waits for it, in the metrics.
            cores: from which `take_surplus` borrows.
            plenty: so many images are worth a borrowed core.
        """
        self._stage = stage
        self._cores = cores or CoreTable.alone()
        self._plenty = plenty
        self._lanes: dict[Lane, deque[Item]] = {lane: deque() for lane in Lane}
        lock = Lock()
        self._changed = Condition(lock)
        self._surplus = Condition(lock)
        self._guests = 0
        self._closed = False

    def put(self, items: Iterable[Item]) -> None:
        """Append to the items' own lanes."""
        with self._changed:
            for item in items:
                self._lanes[item.lane].append(item)
            self._changed.notify_all()
            # To wake a guest in vain costs more than to look.
            if self._guests and self._waiting() >= self._plenty and self._cores.spare():
                self._surplus.notify()

    def put_back(self, items: Iterable[Item]) -> None:
        """Put items that were taken before everything else of their lanes, in the order given."""
        with self._changed:
            for item in reversed(list(items)):
                self._lanes[item.lane].appendleft(item)
            self._changed.notify_all()

    def take(self, choose: Callable[[int], int]) -> list[Item]:
        """Wait until something is there, then take at once what `choose(waiting)` says of it.

        Returns:
            at least one item, or none when the queue is closed.
        """
        with self._changed:
            while True:
                self._changed.wait_for(lambda: self._closed or any(self._lanes.values()))
                if self._closed:
                    return []
                if taken := self._pop(choose(self._waiting())):
                    return taken

    def take_surplus(self, choose: Callable[[int], int]) -> tuple[list[Item], int] | None:
        """As `take`, for a guest: wait until there is plenty, and a core of another worker to borrow.

        Returns:
            at least one item, and the core, to be given back; None when the queue is closed.
        """
        with self._surplus:
            while not self._closed:
                if self._waiting() >= self._plenty and (core := self._cores.borrow()) is not None:
                    if taken := self._pop(choose(self._waiting())):
                        return taken, core
                    self._cores.give_back(core)
                self._guests += 1
                self._surplus.wait()
                self._guests -= 1
            return None

    def close(self) -> None:
        """Let every thread that waits, and every later taker, come back with nothing."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()
            self._surplus.notify_all()

    def oldest(self) -> Item | None:
        """The image that waits longest."""
        with self._changed:
            heads = [lane[0] for lane in self._lanes.values() if lane]
        return min(heads, key=lambda item: item.queued_at, default=None)

    def _waiting(self) -> int:
        return sum(map(len, self._lanes.values()))

    def _pop(self, count: int) -> list[Item]:
        interactive, bulk = self._lanes[Lane.INTERACTIVE], self._lanes[Lane.BULK]
        kept = min(len(bulk), count // _BULK_SHARE)
        taken = self._pop_lane(interactive, count - kept)
        return taken + self._pop_lane(bulk, count - len(taken))

    def _pop_lane(self, lane: deque[Item], count: int) -> list[Item]:
        taken: list[Item] = []
        while lane and len(taken) < count:
            item = lane.popleft()
            if item.call.abandoned:
                CANCELLED_ITEMS.labels(self._stage, item.call.abandoned).inc()
            else:
                taken.append(item)
        return taken
