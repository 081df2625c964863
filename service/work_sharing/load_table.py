"""Shared-memory load table: which workers are idle, and which answer chunks of their peers."""

from collections.abc import Container
from mmap import mmap
from pathlib import Path

# Chunks of one worker that a peer may answer at a time: one at hand and one to come, and more where the
# worker answers more itself. A batch takes several photographs, and a chunk holds one or two of them.
_FEWEST_CHUNKS = 2
_MOST_CHUNKS = 8

TABLE = "load-table"
"""Name of the table's file."""


class LoadTable:
    """Square table of bytes: the row of a worker, which it alone writes, has a column for every worker.

    The byte in a worker's own column counts its models that hold calls. The byte in a peer's column counts
    the chunks that the peer answers for it. A worker clears its row at its start, so the counts of a killed
    worker end with its replacement; until then it does not count as idle. The table has no lock: where two
    workers choose the same peer in the same moment, both wait a little longer.
    """

    def __init__(self, table: mmap, own: int, workers: int) -> None:
        """Clear the worker's row; `table` is what `create` has made, `own` the worker's number."""
        self._table = table
        self._own = own
        self._workers = workers
        self._row = own * workers
        table[self._row : self._row + workers] = bytes(workers)

    @classmethod
    def open(cls, file: Path, own: int, workers: int) -> "LoadTable":
        """Open the table in a file for one worker."""
        with file.open("r+b") as opened:
            return cls(mmap(opened.fileno(), workers**2), own, workers)

    @classmethod
    def alone(cls) -> "LoadTable":
        """Make the table of the only worker."""
        return cls(mmap(-1, 1), 0, 1)

    @staticmethod
    def create(file: Path, workers: int) -> None:
        """Make the table of a new service."""
        file.write_bytes(bytes(workers**2))

    def count_busy(self, change: int) -> None:
        """Count the models of this worker that hold calls: `change` is 1 or -1."""
        self._table[self._row + self._own] += change

    def borrow(self, own: int, without: Container[int] = ()) -> int | None:
        """Borrow an idle peer until `give_back`; return its number, or None where there is none.

        A peer is idle that holds no calls and answers no chunk of a third worker. The one with the fewest
        chunks of this worker is taken. It may have two of them, or as many as this worker answers itself
        (`own`).

        Args:
            own: chunks that this worker answers itself.
            without: peers that may not be taken.
        """
        chunks = {
            peer: self._table[self._row + peer]
            for peer in range(self._workers)
            if peer != self._own and peer not in without and self._is_idle(peer)
        }
        peer = min(chunks, key=chunks.__getitem__, default=None)
        if peer is None or chunks[peer] >= max(_FEWEST_CHUNKS, min(own, _MOST_CHUNKS)):
            return None
        self._table[self._row + peer] += 1
        return peer

    def _is_idle(self, peer: int) -> bool:
        """Whether a peer answers nothing but chunks of this worker."""
        return sum(self._table[peer :: self._workers]) == self._table[self._row + peer]

    def give_back(self, peer: int) -> None:
        """Count a chunk that the peer has answered."""
        self._table[self._row + peer] -= 1
