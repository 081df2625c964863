"""The line between the parent process and one worker: both ends of a Unix socket pair.

Down go accepted connections, as one byte that carries a file descriptor, and the word to stop. Up go
lines of text: how far the worker is, and how many of its connections have ended.
"""

import socket
from dataclasses import dataclass
from enum import Enum

_CONNECTION = b"c"
_STOP = b"s"


class Report(Enum):
    """What a worker says; the text after it in brackets."""

    SERVING = "serving"
    """It answers connections, if only that it is not ready."""
    READY = "ready"
    """It is warm (what runs its model)."""
    ENDED = "ended"
    """Connections that ended since it was started (their number, so that a lost line costs nothing)."""
    FAILED = "failed"
    """It cannot serve (why, in one sentence), and ends."""


@dataclass(frozen=True)
class Message:
    """One line of a worker."""

    report: Report
    text: str


class ParentEnd:
    """The parent's end; nothing here blocks.

    Attributes:
        closed: the worker has hung up.
    """

    def __init__(self, line: socket.socket) -> None:
        line.setblocking(False)
        self._line = line
        self._rest = b""
        self.closed = False

    def fileno(self) -> int:
        return self._line.fileno()

    def hand_over(self, connection: socket.socket) -> bool:
        """Give the worker a connection; False if it takes none now. The caller's copy stays open."""
        try:
            socket.send_fds(self._line, [_CONNECTION], [connection.fileno()])
        except OSError:
            # No room, too many descriptors on their way, or nobody there any more.
            return False
        return True

    def ask_to_stop(self) -> bool:
        """Tell the worker to end in order; False if it does not listen now."""
        try:
            self._line.send(_STOP)
        except (BlockingIOError, ConnectionError):
            return False
        return True

    def messages(self) -> list[Message]:
        """What the worker has said since the last call; sets `closed`."""
        received = self._rest
        while not self.closed:
            try:
                chunk = self._line.recv(65536)
            except BlockingIOError:
                break
            except ConnectionError:
                chunk = b""
            self.closed = not chunk
            received += chunk
        *lines, self._rest = received.split(b"\n")
        parts = [line.decode(errors="replace").partition(" ") for line in lines]
        return [Message(Report(report), text) for report, _, text in parts]

    def close(self) -> None:
        self._line.close()


class WorkerEnd:
    """The worker's end.

    Attributes:
        told_to_stop: the parent wants an orderly end.
    """

    def __init__(self, line: socket.socket) -> None:
        line.setblocking(False)
        self._line = line
        self.told_to_stop = False

    def fileno(self) -> int:
        return self._line.fileno()

    def tell(self, report: Report, text: str = "") -> None:
        """Say one line; one that the parent has no room for is lost."""
        line = f"{report.value} {text}".replace("\n", " ") + "\n"
        try:
            self._line.send(line.encode())
        except OSError:
            # No room, or nobody there any more; also after `close`.
            return

    def take(self) -> socket.socket | None:
        """The next connection, or None if there is none now; sets `told_to_stop`."""
        while True:
            try:
                # One byte at a time: a byte and its descriptor belong together.
                order, descriptors, _, _ = socket.recv_fds(self._line, 1, maxfds=1)
            except (BlockingIOError, ConnectionError):
                return None
            if descriptors:
                return socket.socket(fileno=descriptors[0])
            if not order:
                return None
            self.told_to_stop = self.told_to_stop or order == _STOP

    def close(self) -> None:
        self._line.close()
