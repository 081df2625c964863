"""The signals that a service obeys: SIGINT and SIGTERM end it, SIGHUP makes it look for new versions."""

import os
import signal
import socket
from contextlib import suppress
from pathlib import Path
from types import FrameType, TracebackType

_TERMINAL = Path("/dev/tty")


class StopRequested(BaseException):
    """A signal came while the service was starting; like KeyboardInterrupt it is no Exception."""


class Signals:
    """Takes the signals over while it is entered.

    The first one that ends the service raises `StopRequested` in the main thread, unless `wait_for_them` was
    called before. From then on signals are counted and `fileno` becomes readable: what the first has begun to
    end, the database for one, is not cut short by the second.

    Attributes:
        stops: signals received that end the service.
        reloads: signals received that make it look for new versions.
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
        """Readable once a signal came, until `drain`; for a selector."""
        return self._awake.fileno()

    def drain(self) -> None:
        """Make `fileno` unreadable until the next signal."""
        while True:
            try:
                self._awake.recv(64)
            except BlockingIOError:
                return

    def _receive(self, number: int, _frame: FrameType | None) -> None:
        # The kernel sends SIGHUP too, where a terminal goes away: then nobody is left to stop the service.
        if number == signal.SIGHUP and not (self._had_terminal and not _has_terminal()):
            self.reloads += 1
            return
        self.stops += 1
        if not self._counting:
            self._counting = True
            raise StopRequested


def _has_terminal() -> bool:
    """Whether this process has a terminal that controls it."""
    with suppress(OSError):
        os.close(os.open(_TERMINAL, os.O_RDWR | os.O_NOCTTY))
        return True
    return False
