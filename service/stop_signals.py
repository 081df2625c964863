"""SIGINT and SIGTERM: what ends a start that is under way, and what a running service waits for."""

import signal
import socket
from types import FrameType, TracebackType

_NUMBERS = (signal.SIGINT, signal.SIGTERM)


class StopRequested(BaseException):
    """A signal came while the service was starting; like KeyboardInterrupt it is no Exception."""


class StopSignals:
    """Takes both signals over while it is entered.

    Until `wait_for_them` is called a signal raises `StopRequested` in the main thread; from then on
    signals are counted and `fileno` becomes readable.

    Attributes:
        count: signals received.
    """

    def __init__(self) -> None:
        self.count = 0
        self._counting = False

    def __enter__(self) -> "StopSignals":
        self._awake, self._wake = socket.socketpair()
        self._awake.setblocking(False)
        self._wake.setblocking(False)
        self._wakeup_before = signal.set_wakeup_fd(self._wake.fileno(), warn_on_full_buffer=False)
        self._before = {number: signal.signal(number, self._receive) for number in _NUMBERS}
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

    def _receive(self, _number: int, _frame: FrameType | None) -> None:
        self.count += 1
        if not self._counting:
            raise StopRequested
