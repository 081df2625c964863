"""Progress of a long job: a bar in a terminal, a plain line now and then elsewhere."""

import sys
import time
from types import TracebackType

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.progress import Progress as Bar

_SECONDS_BETWEEN_LINES = 15.0


class Progress:
    """Shows `done` of `total` and a short status on stderr.

    Args:
        title: what is being done, one or two words.
    """

    def __init__(self, title: str) -> None:
        self._title = title
        self._lined_at = -_SECONDS_BETWEEN_LINES
        console = Console(stderr=True)
        self._bar: Bar | None = None
        if console.is_terminal:
            self._bar = Bar(
                TextColumn("{task.description}"),
                BarColumn(),
                MofNCompleteColumn(),
                TimeElapsedColumn(),
                TimeRemainingColumn(),
                TextColumn("{task.fields[status]}"),
                console=console,
            )
            self._task = self._bar.add_task(title, total=None, status="")

    def __enter__(self) -> "Progress":
        if self._bar is not None:
            self._bar.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._bar is not None:
            self._bar.stop()

    def note(self, line: str) -> None:
        """Say something that stays, on a line of its own."""
        if self._bar is not None:
            self._bar.console.print(line, markup=False, highlight=False, soft_wrap=True)
        else:
            sys.stderr.write(f"{line}\n")

    def update(self, done: int, total: int, status: str = "") -> None:
        """Show the state; without a terminal at most one line in 15 seconds, and the last one."""
        if self._bar is not None:
            self._bar.update(self._task, completed=done, total=total, status=status)
            return
        now = time.monotonic()
        if done == total or now - self._lined_at >= _SECONDS_BETWEEN_LINES:
            self._lined_at = now
            sys.stderr.write(f"{self._title}: {done}/{total} {status}\n")
            sys.stderr.flush()
