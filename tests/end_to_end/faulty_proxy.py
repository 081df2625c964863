"""A proxy before a real service that refuses, or cuts answers short, a given number of times."""

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from urllib.parse import urlsplit

_PIECE = 65536
_BODY = b'{"code": "overloaded", "detail": "The queue is full.", "retry_after": %s}'


class FaultyProxy:
    """Proxy of TCP connections.

    Attributes:
        url: its address.
        refusals: connections that are still to be answered 503 with `Retry-After`.
        retry_after: seconds that these refusals name.
        cuts: answers that are still to be cut.
        cut_at: bytes after which they are.
    """

    def __init__(self, target: str) -> None:
        parts = urlsplit(target)
        self._target = (parts.hostname or "", parts.port or 0)
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}"
        self.refusals = self.cuts = 0
        self.retry_after = 0.05
        self.cut_at = 2000
        self._lock = threading.Lock()
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self) -> None:
        self._listener.close()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                connection, _ = self._listener.accept()
                threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, client: socket.socket) -> None:
        with self._lock:
            refuse, self.refusals = self.refusals > 0, max(0, self.refusals - 1)
        with client, suppress(OSError):
            if refuse:
                self._refuse(client)
                return
            with socket.create_connection(self._target) as service:
                threading.Thread(target=_pump, args=(client, service), daemon=True).start()
                self._answer(service, client)

    def _refuse(self, client: socket.socket) -> None:
        head = b""
        while b"\r\n\r\n" not in head:
            head += client.recv(_PIECE)
        body = _BODY % str(self.retry_after).encode()
        client.sendall(
            b"HTTP/1.1 503 Service Unavailable\r\nContent-Type: application/problem+json\r\n"
            b"Retry-After: 1\r\nConnection: close\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body)
        )
        client.shutdown(socket.SHUT_WR)
        while client.recv(_PIECE):
            pass

    def _answer(self, service: socket.socket, client: socket.socket) -> None:
        passed = 0
        while data := service.recv(_PIECE):
            passed += len(data)
            with self._lock:
                cut = self.cuts > 0 and passed >= self.cut_at
                self.cuts -= cut
            if cut:
                client.sendall(data[: len(data) // 2])
                client.shutdown(socket.SHUT_RDWR)
                return
            client.sendall(data)


def _pump(source: socket.socket, target: socket.socket) -> None:
    with suppress(OSError):
        while data := source.recv(_PIECE):
            target.sendall(data)
    with suppress(OSError):
        target.shutdown(socket.SHUT_RDWR)


@contextmanager
def faulty_proxy(target: str) -> Iterator[FaultyProxy]:
    """A proxy before the service at this address."""
    proxy = FaultyProxy(target)
    try:
        yield proxy
    finally:
        proxy.close()
