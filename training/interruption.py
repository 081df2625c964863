"""SIGINT and SIGTERM as a flag that a loop looks at between two steps."""

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType


class Interruption:
    """Whether somebody asked the run to stop."""

    def __init__(self) -> None:
        self.asked = False

    def ask(self, _number: int, _frame: FrameType | None) -> None:
        """Signal handler: remember the wish, and let a second signal end the process at once."""
        self.asked = True
        signal.signal(signal.SIGINT, signal.SIG_DFL)
        signal.signal(signal.SIGTERM, signal.SIG_DFL)


@contextmanager
def watch() -> Iterator[Interruption]:
    """Catch SIGINT and SIGTERM for the duration of the block."""
    interruption = Interruption()
    previous = {number: signal.signal(number, interruption.ask) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield interruption
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)
