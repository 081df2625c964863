"""One streamed request and its answer, sent and read in whatever order a test wants."""

import socket
from collections import deque
from types import TracebackType
from typing import Any

import orjson


class Exchange:
    """A request whose body is sent in pieces, over a connection that fails rather than waits for ever."""

    def __init__(self, connection: socket.socket, path: str, content_type: str, *headers: str) -> None:
        self._connection = connection
        self._answer = connection.makefile("rb")
        self._lines: deque[bytes] = deque()
        head = [
            f"POST {path} HTTP/1.1",
            "Host: infomax",
            f"Content-Type: {content_type}",
            "Transfer-Encoding: chunked",
            *headers,
        ]
        connection.sendall("\r\n".join([*head, "", ""]).encode())

    def __enter__(self) -> "Exchange":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._answer.close()
        self._connection.close()

    def send(self, data: bytes) -> None:
        """Send a piece of the body; an empty one ends it."""
        self._connection.sendall(b"%x\r\n%s\r\n" % (len(data), data))

    def status(self) -> int:
        """Read a status and the headers behind it."""
        status = int(self._answer.readline().split()[1])
        while self._answer.readline() != b"\r\n":
            pass
        return status

    def line(self) -> dict[str, Any] | None:
        """The answer's next line; None at its end."""
        while not self._lines:
            size = int(self._answer.readline(), 16)
            self._lines.extend(self._answer.read(size).splitlines())
            self._answer.readline()
            if size == 0:
                return None
        value: dict[str, Any] = orjson.loads(self._lines.popleft())
        return value
