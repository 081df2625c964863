"""Signals of the service: SIGINT and SIGTERM stop it, SIGHUP reloads the model versions."""

import os
import signal
import socket
from contextlib import suppress
from pathlib import Path
from types import FrameType, TracebackType

_TERMINAL = Path("/dev/tty")


class StopRequested(BaseException):
    """Signal to stop during the start; like KeyboardInterrupt, it is not an Exception."""


class Signals:
    """Context manager that handles the signals.

    The first signal to stop raises `StopRequested` in the main thread, unless `wait_for_them` was called
    before. From then on signals are counted, and `fileno` becomes readable, so that a second signal does not
    cut short the clean-up that the first has begun.

    Attributes:
        stops: signals to stop that have arrived.
        reloads: signals to reload that have arrived.
    """

    HANDLED = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)

    def __init__(self) -> None:
        self.stops = 0
        self.reloads = 0
        self._counting = False
        self._had_terminal = _has_terminal()

    def __enter__(self) -> "Signals":
        self._awake, self._wake = socket.socketpair()
        self._awake.setblocking(False)
        self._wake.setblocking(False)
        self._wakeup_before = signal.set_wakeup_fd(self._wake.fileno(), warn_on_full_buffer=False)
        self._before = {number: signal.signal(number, self._receive) for number in self.HANDLED}
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)
        signal.set_wakeup_fd(self._wakeup_before)
        self._awake.close()
        self._wake.close()

    def wait_for_them(self) -> None:
        """Count from now on, and raise nothing."""
        self._counting = True

    def fileno(self) -> int:
        """Return a descriptor for a selector; readable once a signal has arrived, until `drain`."""
        return self._awake.fileno()

    def drain(self) -> None:
        """Make `fileno` unreadable until the next signal."""
        while True:
            try:
                self._awake.recv(64)
            except BlockingIOError:
                return

    def _receive(self, number: int, _frame: FrameType | None) -> None:
        # The kernel sends SIGHUP too, when the terminal closes. Ctrl-C cannot stop the service any more then.
        if number == signal.SIGHUP and not (self._had_terminal and not _has_terminal()):
            self.reloads += 1
            return
        self.stops += 1
        if not self._counting:
            self._counting = True
            raise StopRequested


def _has_terminal() -> bool:
    """Whether this process has a controlling terminal."""
    with suppress(OSError):
        os.close(os.open(_TERMINAL, os.O_RDWR | os.O_NOCTTY))
        return True
    return False
