"""Which workers have work of their own and which have time for others, in a table that all of them see."""

from collections.abc import Container
from mmap import mmap
from pathlib import Path

# Chunks that one worker may have another answer at a time: one at hand and one to come, and more where it has
# more itself. A batch is made of several photographs, and a chunk holds one or two of them.
_AT_LEAST = 2
_AT_MOST = 8

TABLE = "cores"
"""Name of its file."""


class LoadTable:
    """A row for each worker, which it alone writes: a byte for each worker's core, its own and the others'.

    The byte of its own core says how many of its models have work of their own, the others how many chunks it
    has given to whom. A worker clears its row at its start: what one left that was killed ends with the one
    that takes its place, and until then nobody takes its core for idle. Nothing is locked: two workers that
    choose the same third one in the same moment both wait a little longer.
    """

    def __init__(self, table: mmap, own: int, workers: int) -> None:
        """`table` is what `create` has made; `own` the worker's place, from 0."""
        self._table = table
        self._own = own
        self._workers = workers
        self._row = own * workers
        table[self._row : self._row + workers] = bytes(workers)

    @classmethod
    def open(cls, file: Path, own: int, workers: int) -> "LoadTable":
        """The table in `file`, as a worker sees it."""
        with file.open("r+b") as opened:
            return cls(mmap(opened.fileno(), workers**2), own, workers)

    @classmethod
    def alone(cls) -> "LoadTable":
        """Of the only worker."""
        return cls(mmap(-1, 1), 0, 1)

    @staticmethod
    def create(file: Path, workers: int) -> None:
        """Make the table of a new service."""
        file.write_bytes(bytes(workers**2))

    def work(self, change: int) -> None:
        """So many more of the worker's models have work of their own, or fewer."""
        self._table[self._row + self._own] += change

    def borrow(self, own: int, without: Container[int] = ()) -> int | None:
        """The place of a worker that has no work of its own and helps nobody else; None if there is none.

        It is borrowed until `give_back`, and is none of `without`. Of several it is the one that has been
        given the least, and never more than the `own` chunks that this worker answers itself, or two.
        """
        lent = {
            core: self._table[self._row + core]
            for core in range(self._workers)
            if core != self._own and core not in without and self._helps_at_most_this(core)
        }
        core = min(lent, key=lent.__getitem__, default=None)
        if core is None or lent[core] >= max(_AT_LEAST, min(own, _AT_MOST)):
            return None
        self._table[self._row + core] += 1
        return core

    def _helps_at_most_this(self, core: int) -> bool:
        """Whether all that a core has to do was given to it by this worker."""
        return sum(self._table[core :: self._workers]) == self._table[self._row + core]

    def give_back(self, core: int) -> None:
        """The other worker has answered."""
        self._table[self._row + core] -= 1
