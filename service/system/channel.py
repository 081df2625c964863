"""The line between the parent process and one worker: both ends of a Unix socket pair.

Down go accepted connections, as one byte that carries a file descriptor, orders, as one that carries a pipe
with their text, and the word to stop. Up go lines of text: how far the worker is, how many of its
connections have ended, and what became of its orders.
"""

import os
import socket
from collections import deque
from dataclasses import dataclass
from enum import Enum

_CONNECTION = b"c"
_MESSAGE = b"o"
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
    LOAD_REQUEST = "load_request"
    """A client wants another model version (a `LoadRequest`)."""
    PREPARED = "prepared"
    """A version is loaded, warm and tested (the number of its rollout)."""
    REFUSED = "refused"
    """A version cannot be served (the number of its rollout, and why in one sentence)."""
    ACTIVATED = "activated"
    """A version answers requests (the number of its rollout)."""


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
        self._socket = line
        self._rest = b""
        self._messages: deque[str] = deque()
        self.closed = False

    def fileno(self) -> int:
        return self._socket.fileno()

    def hand_over(self, connection: socket.socket) -> bool:
        """Give the worker a connection; False if it takes none now. The caller's copy stays open."""
        try:
            socket.send_fds(self._socket, [_CONNECTION], [connection.fileno()])
        except OSError:
            # No room, too many descriptors on their way, or nobody there any more.
            return False
        return True

    def send(self, text: str) -> None:
        """Give the worker an order of at most what a pipe holds, 16 KiB; it waits while there is no room."""
        self._messages.append(text)
        self.flush()

    def flush(self) -> bool:
        """Send the orders that wait, in their order; whether none is left."""
        while self._messages:
            reading, writing = os.pipe()
            try:
                os.set_blocking(writing, False)
                os.write(writing, self._messages[0].encode())
                socket.send_fds(self._socket, [_MESSAGE], [reading])
            except OSError:
                # As for connections; whoever is gone is buried soon, with what waits for it.
                return False
            finally:
                os.close(reading)
                os.close(writing)
            self._messages.popleft()
        return True

    def ask_to_stop(self) -> bool:
        """Tell the worker to end in order; False if it does not listen now."""
        try:
            self._socket.send(_STOP)
        except (BlockingIOError, ConnectionError):
            return False
        return True

    def messages(self) -> list[Message]:
        """What the worker has said since the last call; sets `closed`."""
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
        return [Message(Report(report), text) for report, _, text in parts]

    def close(self) -> None:
        self._socket.close()


class WorkerEnd:
    """The worker's end.

    Attributes:
        told_to_stop: the parent wants an orderly end.
        orders: texts that have come and were not looked at yet.
    """

    def __init__(self, line: socket.socket) -> None:
        line.setblocking(False)
        self._socket = line
        self.told_to_stop = False
        self.messages: deque[str] = deque()

    def fileno(self) -> int:
        return self._socket.fileno()

    def tell(self, report: Report, text: str = "") -> bool:
        """Say one line; one that the parent has no room for is lost, which False says."""
        line = f"{report.value} {text}".replace("\n", " ") + "\n"
        try:
            self._socket.send(line.encode())
        except OSError:
            # No room, or nobody there any more; also after `close`.
            return False
        return True

    def take(self) -> socket.socket | None:
        """The next connection, or None if there is none now; sets `told_to_stop` and adds to `orders`."""
        while True:
            try:
                # One byte at a time: a byte and its descriptor belong together.
                send, descriptors, _, _ = socket.recv_fds(self._socket, 1, maxfds=1)
            except (BlockingIOError, ConnectionError):
                return None
            if send == _MESSAGE and descriptors:
                with os.fdopen(descriptors[0], encoding="utf-8") as pipe:
                    self.messages.append(pipe.read())
            elif descriptors:
                return socket.socket(fileno=descriptors[0])
            elif not send:
                return None
            self.told_to_stop = self.told_to_stop or send == _STOP

    def close(self) -> None:
        self._socket.close()
