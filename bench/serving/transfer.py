"""Cost of a connection alone: bytes from one process to another, which discards them.

Every server has this cost, and the limit leaves it out.
"""

import multiprocessing
import socket
from collections.abc import Sequence
from multiprocessing.connection import Connection
from time import perf_counter

from bench.serving.meter import busy_seconds

_BLOCK = 64 * 2**20
_PIECE = 2**18
_TIMEOUT_SECONDS = 60.0


def measure(files: Sequence[bytes], seconds: float) -> float:
    """Measure the core seconds of both ends for one image on an idle machine."""
    once = b"".join(files)
    repeats = max(1, _BLOCK // len(once))
    block, images = once * repeats, len(files) * repeats
    context = multiprocessing.get_context("spawn")
    port, others_port = context.Pipe()
    receiver = context.Process(target=_receive, args=(others_port,), daemon=True)
    receiver.start()
    if not port.poll(_TIMEOUT_SECONDS):
        raise TimeoutError("the receiver has not begun to listen")
    with socket.create_connection(("127.0.0.1", port.recv())) as connection:
        busy_at_start, started, sent = busy_seconds(), perf_counter(), 0
        while perf_counter() - started < seconds:
            connection.sendall(block)
            sent += images
        connection.shutdown(socket.SHUT_WR)
        connection.recv(1)
        used = busy_seconds() - busy_at_start
    receiver.join()
    return used / sent


def _receive(port: Connection) -> None:
    piece = bytearray(_PIECE)
    with socket.create_server(("127.0.0.1", 0)) as server:
        port.send(server.getsockname()[1])
        connection, _ = server.accept()
        with connection:
            while connection.recv_into(piece):
                pass
            connection.send(b".")
