"""Closed-loop load generator for machines without wrk: raw HTTP/1.1 over asyncio, as a process.

`python -m bench.serving.closed_loop PORT CONNECTIONS SECONDS REQUEST_FILE...`
"""

import asyncio
import json
import re
import sys
from itertools import cycle
from pathlib import Path
from time import perf_counter
from typing import cast

import numpy as np
import uvloop

_LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)
_END_OF_HEAD = b"\r\n\r\n"


class Client(asyncio.Protocol):
    """Connection that sends a request, times the whole reply, and sends the next request."""

    def __init__(self, requests: "cycle[bytes]", deadline: float, latencies: list[float]) -> None:
        self.errors = 0
        self.closed = asyncio.get_running_loop().create_future()
        self._requests = requests
        self._deadline = deadline
        self._latencies = latencies
        self._head = b""
        self._missing = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # uvloop's transports have the methods of asyncio.Transport and are not instances of it.
        self._transport = cast("asyncio.Transport", transport)
        self._send()

    def data_received(self, data: bytes) -> None:
        if not self._missing:
            self._head += data
            at = self._head.find(_END_OF_HEAD)
            if at < 0:
                return
            head, data = self._head[: at + 2], self._head[at + 4 :]
            length = _LENGTH.search(head)
            # None of these servers replies to one image without a length.
            assert length is not None, head
            self.errors += not head.startswith(b"HTTP/1.1 2")
            self._missing = int(length[1])
        self._missing -= len(data)
        if self._missing <= 0:
            self._latencies.append(perf_counter() - self._sent)
            self._send()

    def connection_lost(self, _error: Exception | None) -> None:
        if perf_counter() < self._deadline:
            self.errors += 1
        self.closed.set_result(None)

    def _send(self) -> None:
        self._head, self._missing = b"", 0
        self._sent = perf_counter()
        if self._sent < self._deadline:
            self._transport.write(next(self._requests))
        else:
            self._transport.close()


async def generate(port: int, connections: int, seconds: float, requests: list[bytes]) -> dict[str, float]:
    """Load the port; return the fields of `bench.serving.load.Load` but the generator's own cost."""
    loop, latencies, endless = asyncio.get_running_loop(), list[float](), cycle(requests)
    started = perf_counter()
    clients = []
    for _ in range(connections):
        _, client = await loop.create_connection(
            lambda: Client(endless, started + seconds, latencies), "127.0.0.1", port
        )
        clients.append(client)
    await asyncio.gather(*(client.closed for client in clients))
    p50, p99 = np.percentile(latencies or [0.0], [50, 99]) * 1000
    return {
        "replies": len(latencies),
        "seconds": perf_counter() - started,
        "p50_ms": float(p50),
        "p99_ms": float(p99),
        "errors": sum(client.errors for client in clients),
    }


def _main() -> None:
    port, connections, seconds, *files = sys.argv[1:]
    requests = [Path(file).read_bytes() for file in files]
    found = uvloop.run(generate(int(port), int(connections), float(seconds), requests))
    sys.stdout.write(f"RESULT {json.dumps(found)}\n")


if __name__ == "__main__":
    _main()
