"""Which worker computes on whose core now, in a table that all workers of a service see.

Every worker has a core's worth of threads of its own. A connection belongs to one worker, so that one
client's stream would keep one core busy while the others have nothing to do. By the table a worker sees that
another one rests, and computes in its place.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from mmap import mmap
from pathlib import Path
from threading import Lock
from typing import Self


class CoreTable:
    """A byte for each worker and each worker's core: how many threads of the one compute on the other.

    A worker writes its own row alone, and clears it at its start: what one left that was killed ends with the
    one that takes its place, and until then nobody takes its core for idle. Nothing is locked between
    processes. Two workers that borrow the same core in the same moment share it for one batch, and a worker
    that begins to work while its core is lent shares it until that batch is done.
    """

    def __init__(self, table: mmap, own: int, workers: int) -> None:
        """`table` is what `create` has made, or anonymous memory; `own` the worker's place, from 0."""
        self._table = table
        self._own = own
        self._workers = workers
        self._row = own * workers
        self._lock = Lock()
        table[self._row : self._row + workers] = bytes(workers)

    @classmethod
    def alone(cls) -> Self:
        """For the only worker, who has nobody to borrow from."""
        return cls(mmap(-1, 1), 0, 1)

    @classmethod
    def open(cls, file: Path, own: int, workers: int) -> Self:
        """The table in `file`, as a worker sees it."""
        with file.open("r+b") as opened:
            return cls(mmap(opened.fileno(), workers**2), own, workers)

    @staticmethod
    def create(file: Path, workers: int) -> None:
        """Make the table of a new service."""
        file.write_bytes(bytes(workers**2))

    @property
    def others(self) -> int:
        """How many cores there are to borrow."""
        return self._workers - 1

    @contextmanager
    def working(self) -> Iterator[None]:
        """For the block's duration the calling thread computes on the worker's own core."""
        place = self._row + self._own
        with self._lock:
            self._table[place] += 1
        try:
            yield
        finally:
            with self._lock:
                self._table[place] -= 1

    def spare(self) -> bool:
        """Whether another worker's core is idle."""
        return self._idle() is not None

    def borrow(self) -> int | None:
        """Take an idle core of another worker, if there is one, until `give_back`."""
        with self._lock:
            core = self._idle()
            if core is not None:
                self._table[self._row + core] = 1
            return core

    def give_back(self, core: int) -> None:
        """Leave a core that was borrowed."""
        self._table[self._row + core] = 0

    def _idle(self) -> int | None:
        for core in range(self._workers):
            if core != self._own and not any(self._table[core :: self._workers]):
                return core
        return None
