"""The queue between two stages: two lanes, many threads on both sides."""

from collections import deque
from collections.abc import Callable, Iterable
from threading import Condition
from time import perf_counter

from service.inference.calls import Item
from service.inference.results import Priority
from service.metrics import CANCELLED_ITEMS

# Of a full batch, what bulk work keeps while interactive work waits: 1/8 keeps it from standing still.
_BULK_SHARE = 8
INTERACTIVE_SHARE = 1 - 1 / _BULK_SHARE
# How often somebody who holds on looks again, though nothing has come.
_LOOK_AGAIN_SECONDS = 0.01


class PriorityQueue:
    """Images in order of arrival, interactive before bulk; abandoned ones leave it unseen.

    It has no bound of its own: admission bounds what all stages hold together.
    """

    def __init__(self, stage: str) -> None:
        self._stage = stage
        self._queues: dict[Priority, deque[Item]] = {priority: deque() for priority in Priority}
        self._changed = Condition()
        self._closed = False

    def put(self, items: Iterable[Item]) -> None:
        """Append to the items' own lanes."""
        with self._changed:
            for item in items:
                self._queues[item.priority].append(item)
            self._changed.notify_all()

    def put_back(self, items: Iterable[Item]) -> None:
        """Put items that were taken before everything else of their lanes, in the order given."""
        with self._changed:
            for item in reversed(list(items)):
                self._queues[item.priority].appendleft(item)
            self._changed.notify_all()

    def __len__(self) -> int:
        """How many wait at the moment, abandoned ones included."""
        return sum(map(len, self._queues.values()))

    def take(
        self, choose: Callable[[int], int], hold: Callable[[int, float], bool] | None = None
    ) -> list[Item]:
        """Wait until something is there, then take at once what `choose(waiting)` says of it.

        Args:
            choose: how many to take of those that wait.
            hold: whether to hold on for more, of how many wait and for how many seconds the first has waited.

        Returns:
            at least one item, or none when the queue is closed.
        """
        with self._changed:
            while True:
                self._changed.wait_for(lambda: self._closed or any(self._queues.values()))
                if self._closed:
                    return []
                if hold is not None and hold(len(self), self._longest_wait()):
                    self._changed.wait(_LOOK_AGAIN_SECONDS)
                elif taken := self._pop(choose(len(self))):
                    return taken

    def close(self) -> None:
        """Let every thread that waits, and every later `take`, come back with nothing."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()

    def oldest(self) -> Item | None:
        """The image that waits longest."""
        with self._changed:
            heads = [priority[0] for priority in self._queues.values() if priority]
        return min(heads, key=lambda item: item.queued_at, default=None)

    def _longest_wait(self) -> float:
        oldest = self.oldest()
        return perf_counter() - oldest.queued_at if oldest else 0.0

    def _pop(self, count: int) -> list[Item]:
        interactive, bulk = self._queues[Priority.INTERACTIVE], self._queues[Priority.BULK]
        kept = min(len(bulk), count // _BULK_SHARE)
        taken = self._pop_queue(interactive, count - kept)
        return taken + self._pop_queue(bulk, count - len(taken))

    def _pop_queue(self, priority: deque[Item], count: int) -> list[Item]:
        taken: list[Item] = []
        while priority and len(taken) < count:
            item = priority.popleft()
            if item.call.abandoned:
                CANCELLED_ITEMS.labels(self._stage, item.call.abandoned).inc()
            else:
                taken.append(item)
        return taken
