"""Channel between the parent process and one worker: both ends of a Unix socket pair.

To the worker go accepted connections, messages, and the order to stop. Each is one byte; a connection's byte
carries its descriptor, a message's byte carries a pipe that holds the text. To the parent go reports, one
line of text each.
"""

import os
import socket
from collections import deque
from dataclasses import dataclass
from enum import Enum

_CONNECTION = b"c"
_MESSAGE = b"m"
_STOP = b"s"


class Report(Enum):
    """Kind of a worker's report, with the text that follows it."""

    SERVING = "serving"
    """The worker answers connections, if only that it is not ready."""
    READY = "ready"
    """The worker is warm. The text names what runs its model."""
    ENDED = "ended"
    """Connections have ended. The text is their number since the start, so that a lost line costs nothing."""
    FAILED = "failed"
    """The worker cannot serve, and ends. The text is the reason, in one sentence."""
    MESSAGE = "message"
    """The worker sends a message about model versions (`service.models.messages.WorkerMessage`)."""


@dataclass(frozen=True)
class ReportLine:
    """One line of a worker."""

    report: Report
    text: str


class ParentEnd:
    """The parent's end; nothing here blocks.

    Attributes:
        closed: the worker's end is closed.
    """

    def __init__(self, end: socket.socket) -> None:
        end.setblocking(False)
        self._socket = end
        self._rest = b""
        self._messages: deque[str] = deque()
        self.closed = False

    def fileno(self) -> int:
        """Return the socket's descriptor, for a selector."""
        return self._socket.fileno()

    def hand_over(self, connection: socket.socket) -> bool:
        """Give the worker a connection; False where it takes none now. The caller's copy stays open."""
        try:
            socket.send_fds(self._socket, [_CONNECTION], [connection.fileno()])
        except OSError:
            # The socket is full, too many descriptors are on their way, or the worker is gone.
            return False
        return True

    def send(self, text: str) -> None:
        """Send a message of at most 16 KiB, which a pipe holds; it waits while there is no room."""
        self._messages.append(text)
        self.flush()

    def flush(self) -> bool:
        """Send the messages that wait, in their order; return whether none is left."""
        while self._messages:
            try:
                reading, writing = os.pipe()
            except OSError:
                # This process has no descriptor left.
                return False
            try:
                os.set_blocking(writing, False)
                os.write(writing, self._messages[0].encode())
                socket.send_fds(self._socket, [_MESSAGE], [reading])
            except OSError:
                # As for connections. Where the worker is gone, its messages go with this object.
                return False
            finally:
                os.close(reading)
                os.close(writing)
            self._messages.popleft()
        return True

    def ask_to_stop(self) -> bool:
        """Tell the worker to drain and end; False where it takes nothing now."""
        try:
            self._socket.send(_STOP)
        except (BlockingIOError, ConnectionError):
            return False
        return True

    def reports(self) -> list[ReportLine]:
        """Read the reports since the last call; sets `closed`."""
        received = self._rest
        while not self.closed:
            try:
                chunk = self._socket.recv(65536)
            except BlockingIOError:
                break
            except ConnectionError:
                chunk = b""
            self.closed = not chunk
            received += chunk
        *lines, self._rest = received.split(b"\n")
        parts = [line.decode(errors="replace").partition(" ") for line in lines]
        return [ReportLine(Report(report), text) for report, _, text in parts]

    def close(self) -> None:
        """Close the socket."""
        self._socket.close()


class WorkerEnd:
    """The worker's end; nothing here blocks.

    Attributes:
        told_to_stop: the parent has sent the order to stop.
        messages: texts that have arrived, for the reader to take.
        lost_connections: how many have arrived while this process had no descriptor for them.
        lost_message: a message has arrived like that.
    """

    def __init__(self, end: socket.socket) -> None:
        end.setblocking(False)
        self._socket = end
        self.told_to_stop = False
        self.messages: deque[str] = deque()
        self.lost_connections = 0
        self.lost_message = False

    def fileno(self) -> int:
        """Return the socket's descriptor, for a selector."""
        return self._socket.fileno()

    def tell(self, report: Report, text: str = "") -> bool:
        """Send a report; False where there was no room, and it is lost."""
        line = f"{report.value} {text}".replace("\n", " ") + "\n"
        try:
            self._socket.send(line.encode())
        except OSError:
            # The socket is full or closed, or the parent is gone.
            return False
        return True

    def take(self) -> socket.socket | None:
        """Return the next connection, or None; everything else that arrives changes the attributes."""
        while True:
            try:
                # One byte at a time: a byte and its descriptor belong together.
                kind, descriptors, _, _ = socket.recv_fds(self._socket, 1, maxfds=1)
            except (BlockingIOError, ConnectionError):
                return None
            if kind == _MESSAGE and descriptors:
                with os.fdopen(descriptors[0], encoding="utf-8") as pipe:
                    self.messages.append(pipe.read())
            elif descriptors:
                return socket.socket(fileno=descriptors[0])
            elif not kind:
                return None
            # Where a process has no descriptor left, the kernel gives it the byte alone.
            self.lost_connections += kind == _CONNECTION
            self.lost_message = self.lost_message or (kind == _MESSAGE and not descriptors)
            self.told_to_stop = self.told_to_stop or kind == _STOP

    def close(self) -> None:
        """Close the socket."""
        self._socket.close()
