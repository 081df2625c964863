"""Rows of a run as they come, put on the disk now and then."""

from abc import ABC, abstractmethod
from collections import deque
from dataclasses import dataclass
from time import monotonic

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from contract.progress import Progress
from service.corpus.checkpoint import Checkpoint
from service.corpus.image import CorpusImage
from service.corpus.rows import CorpusRow
from service.inference.results import Failed

_ROWS = 2048
_SECONDS = 10.0


@dataclass(frozen=True, slots=True)
class _Expected:
    """Image that is on its way, without its content."""

    id: str
    path: str
    label: str | None
    bytes: int | None


class RowCollector(ABC):
    """Collector of rows. Images are expected, and their outcomes recorded, in one order."""

    def __init__(self) -> None:
        self._expected: deque[_Expected] = deque()

    def expect(self, image: CorpusImage, content: bytes | Failed) -> None:
        """Note what is known of the next image before it is embedded. May be called by another thread."""
        size = len(content) if isinstance(content, bytes) else None
        self._expected.append(_Expected(image.id, image.path, image.label, size))

    def record(
        self, outcome: NDArray[np.float32] | Failed, width: int | None = None, height: int | None = None
    ) -> None:
        """Take the outcome of the first image that is expected."""
        one = self._expected.popleft()
        self.add(CorpusRow(one.id, one.path, one.label, one.bytes, outcome, width, height))

    @abstractmethod
    def add(self, row: CorpusRow) -> None:
        """Take the next row."""

    @abstractmethod
    def commit(self, *, now: bool = False) -> None:
        """Hand the rows on if there are enough, or `now`. May be called by another thread, and may wait."""


class Recorder(RowCollector):
    """Writer of rows to the checkpoint of a run."""

    def __init__(
        self, checkpoint: Checkpoint, schema: pa.Schema, progress: Progress, total: int | None
    ) -> None:
        super().__init__()
        self._checkpoint = checkpoint
        self._schema = schema
        self._progress = progress
        self._rows: list[CorpusRow] = []
        self._committed_at = monotonic()
        self._shown = checkpoint.images
        self.total = total
        """Images of the corpus, where that is known."""
        self.images = 0
        """Images that this run has recorded."""

    @property
    def stored(self) -> int:
        """Images whose rows are on the disk."""
        return self._checkpoint.images

    def add(self, row: CorpusRow) -> None:
        self._rows.append(row)
        self.images += 1
        if isinstance(row.outcome, Failed):
            self._progress.note(f"left out {row.id}: {row.outcome.message}")

    def commit(self, *, now: bool = False) -> None:
        """Put the rows on the disk if there are enough, or enough time has gone by; or `now`."""
        if self._rows and (now or len(self._rows) >= _ROWS or monotonic() - self._committed_at >= _SECONDS):
            self._checkpoint.commit(self._rows, self._schema)
            self._rows = []
            self._committed_at = monotonic()
        done = self._checkpoint.images + len(self._rows)
        if done != self._shown:
            self._shown = done
            self._progress.update(done, self.total)
