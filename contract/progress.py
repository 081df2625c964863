"""Progress of a long job: a bar in a terminal, a plain line now and then elsewhere."""

import sys
import time
from types import TracebackType

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeElapsedColumn
from rich.progress import Progress as Bar

_SECONDS_BETWEEN_LINES = 15.0
# Up to here a duration is shown in seconds, and in minutes.
_SECONDS_SHOWN, _MINUTES_SHOWN = 100, 100
_TENTHS_SHOWN = 10


class Progress:
    """Shows `done` of `total` and a short status on stderr.

    Args:
        title: what is being done, one or two words.
    """

    def __init__(self, title: str) -> None:
        self._title = title
        self._lined_at = -_SECONDS_BETWEEN_LINES
        self._start: tuple[float, float] | None = None
        console = Console(stderr=True)
        self._bar: Bar | None = None
        if console.is_terminal:
            self._bar = Bar(
                TextColumn("{task.description}"),
                BarColumn(),
                MofNCompleteColumn(),
                TimeElapsedColumn(),
                TextColumn("{task.fields[left]}"),
                TextColumn("{task.fields[status]}"),
                console=console,
            )
            self._task = self._bar.add_task(title, total=None, left="", status="")

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

    def update(self, done: int, total: int | None, status: str = "", share: float | None = None) -> None:
        """Show the state; without a terminal at most one line in 15 seconds, and the last one.

        Args:
            done, total: steps; no total where it is not known.
            status: a few words.
            share: of the work that is done, where steps do not cost the same; `done / total` by default.
        """
        now = time.monotonic()
        if share is None:
            share = 0.0 if total is None else done / max(total, 1)
        left = self._left(now, share)
        if self._bar is not None:
            self._bar.update(self._task, completed=done, total=total, left=left, status=status)
            return
        if done == total or now - self._lined_at >= _SECONDS_BETWEEN_LINES:
            self._lined_at = now
            steps = f"{done}" if total is None else f"{done}/{total}"
            sys.stderr.write(f"{self._title}: {steps} {', '.join(filter(None, (left, status)))}\n")
            sys.stderr.flush()

    def _left(self, now: float, share: float) -> str:
        """Estimate the time that remains, in words.

        The mean pace since the first update counts. It settles, and it leaves out what the first step does
        besides, such as compiling.
        """
        if self._start is None:
            self._start = now, share
        started, begun_at = self._start
        if share <= begun_at or share >= 1:
            return ""
        return f"about {_duration((now - started) * (1 - share) / (share - begun_at))} left"


def _duration(seconds: float) -> str:
    if seconds < _SECONDS_SHOWN:
        return f"{max(1, round(seconds))} s"
    minutes = seconds / 60
    if minutes < _MINUTES_SHOWN:
        return f"{minutes:.1f} min" if minutes < _TENTHS_SHOWN else f"{minutes:.0f} min"
    return f"{seconds / 3600:.1f} h"
