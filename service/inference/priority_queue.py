"""Priority queue between two stages, with many threads on both sides."""

from collections import deque
from collections.abc import Callable, Iterable
from threading import Condition
from time import perf_counter

from service.inference.calls import Item
from service.inference.results import Priority
from service.metrics import CANCELLED_ITEMS

# Share of a full batch that bulk images keep while interactive ones wait: 1/8 keeps streams from starving.
_BULK_SHARE = 8
INTERACTIVE_SHARE = 1 - 1 / _BULK_SHARE
# How often a thread that holds a batch back checks again, though nothing has come.
_CHECK_SECONDS = 0.01


class PriorityQueue:
    """Images in order of arrival, interactive before bulk; abandoned ones are skipped.

    It has no bound, because admission bounds what all stages hold together.
    """

    def __init__(self, stage: str) -> None:
        self._stage = stage
        self._queues: dict[Priority, deque[Item]] = {priority: deque() for priority in Priority}
        self._changed = Condition()
        self._closed = False

    def put(self, items: Iterable[Item]) -> None:
        """Append items by their priority."""
        with self._changed:
            for item in items:
                self._queues[item.priority].append(item)
            self._changed.notify_all()

    def put_back(self, items: Iterable[Item]) -> None:
        """Put taken items before all others of their priority, in the order given."""
        with self._changed:
            for item in reversed(list(items)):
                self._queues[item.priority].appendleft(item)
            self._changed.notify_all()

    def __len__(self) -> int:
        """Count the items that wait, abandoned ones included."""
        return sum(map(len, self._queues.values()))

    def take(
        self, choose: Callable[[int], int], hold: Callable[[int, float], bool] | None = None
    ) -> list[Item]:
        """Wait for items, then take as many as `choose(waiting)` says at once.

        Args:
            choose: number of items to take, of the number that wait.
            hold: whether to wait for more, of the number that wait and the seconds that the first has waited.

        Returns:
            at least one item; none where the queue is closed.
        """
        with self._changed:
            while True:
                self._changed.wait_for(lambda: self._closed or any(self._queues.values()))
                if self._closed:
                    return []
                if hold is not None and hold(len(self), self._longest_wait()):
                    self._changed.wait(_CHECK_SECONDS)
                elif taken := self._pop(choose(len(self))):
                    return taken

    def close(self) -> None:
        """Return nothing to every thread that waits, and from every later `take`."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()

    def oldest(self) -> Item | None:
        """Find the image that waits longest."""
        with self._changed:
            heads = [queue[0] for queue in self._queues.values() if queue]
        return min(heads, key=lambda item: item.queued_at, default=None)

    def _longest_wait(self) -> float:
        oldest = self.oldest()
        return perf_counter() - oldest.queued_at if oldest else 0.0

    def _pop(self, count: int) -> list[Item]:
        interactive, bulk = self._queues[Priority.INTERACTIVE], self._queues[Priority.BULK]
        kept = min(len(bulk), count // _BULK_SHARE)
        taken = self._pop_from(interactive, count - kept)
        return taken + self._pop_from(bulk, count - len(taken))

    def _pop_from(self, queue: deque[Item], count: int) -> list[Item]:
        taken: list[Item] = []
        while queue and len(taken) < count:
            item = queue.popleft()
            if item.call.abandoned:
                CANCELLED_ITEMS.labels(self._stage, item.call.abandoned).inc()
            else:
                taken.append(item)
        return taken
