"""SIGINT and SIGTERM as a flag that a loop looks at between two steps."""

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType


class Interruption:
    """Whether somebody asked the run to stop.

    Args:
        patient: a second signal changes nothing, instead of ending the process at once.
    """

    def __init__(self, *, patient: bool = False) -> None:
        self.asked = False
        self._patient = patient

    def ask(self, _number: int, _frame: FrameType | None) -> None:
        """Signal handler: remember the wish; a second signal ends the process at once, if not patient."""
        self.asked = True
        if self._patient:
            return
        signal.signal(signal.SIGINT, signal.SIG_DFL)
        signal.signal(signal.SIGTERM, signal.SIG_DFL)


@contextmanager
def watch(*, patient: bool = False) -> Iterator[Interruption]:
    """Catch SIGINT and SIGTERM for the duration of the block."""
    interruption = Interruption(patient=patient)
    previous = {number: signal.signal(number, interruption.ask) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield interruption
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)
