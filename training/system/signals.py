"""SIGINT and SIGTERM as a flag that a loop checks between two steps."""

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType


class Interruption:
    """Request to stop, set by a signal.

    Args:
        tolerate_repeats: a second signal changes nothing; by default it ends the process at once.

    Attributes:
        requested: whether a signal has come.
    """

    def __init__(self, *, tolerate_repeats: bool = False) -> None:
        self.requested = False
        self._tolerate_repeats = tolerate_repeats

    def ask(self, _number: int, _frame: FrameType | None) -> None:
        """Set the flag; unless repeats are tolerated, the next signal ends the process."""
        self.requested = True
        if self._tolerate_repeats:
            return
        signal.signal(signal.SIGINT, signal.SIG_DFL)
        signal.signal(signal.SIGTERM, signal.SIG_DFL)


@contextmanager
def watch(*, tolerate_repeats: bool = False) -> Iterator[Interruption]:
    """Catch SIGINT and SIGTERM for the duration of the block."""
    interruption = Interruption(tolerate_repeats=tolerate_repeats)
    previous = {number: signal.signal(number, interruption.ask) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield interruption
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)
