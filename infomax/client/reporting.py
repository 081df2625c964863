"""Progress of a batch."""

import sys
from collections.abc import Callable, Iterable, Sequence, Sized
from dataclasses import dataclass
from time import monotonic
from typing import Protocol

_SECONDS_BETWEEN_LINES = 15.0


@dataclass(frozen=True)
class BatchState:
    """State of a batch.

    Attributes:
        done: images that were answered, failures included.
        failed: failures among them.
        total: all images; None where the input has no length.
    """

    done: int
    failed: int
    total: int | None


ProgressCallback = Callable[[BatchState], None]


class _Outcome(Protocol):
    @property
    def ok(self) -> bool: ...


class Reporter:
    """Count of a batch, shown after every chunk."""

    def __init__(self, progress: "ProgressCallback | bool", inputs: Iterable[object]) -> None:
        """Call `progress`, or for True write lines to standard error; for False, say nothing."""
        self._show: ProgressCallback | None = _lines() if progress is True else progress or None
        self._total = len(inputs) if isinstance(inputs, Sized) else None
        self._done = self._failed = 0

    def add(self, results: Sequence[_Outcome]) -> None:
        """Count the results of a chunk."""
        self._done += len(results)
        self._failed += sum(not one.ok for one in results)
        if self._show is not None:
            self._show(BatchState(self._done, self._failed, self._total))


def _lines() -> ProgressCallback:
    """Write a line now and then, and one at the end where the total is known."""
    shown_at = -_SECONDS_BETWEEN_LINES

    def show(state: BatchState) -> None:
        nonlocal shown_at
        if state.done == state.total or monotonic() - shown_at >= _SECONDS_BETWEEN_LINES:
            shown_at = monotonic()
            total = "" if state.total is None else f"/{state.total}"
            sys.stderr.write(f"infomax: {state.done}{total} images, {state.failed} failed\n")
            sys.stderr.flush()

    return show
