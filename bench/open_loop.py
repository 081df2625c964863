"""Open-loop load: requests at fixed times that do not depend on the server, as from independent clients.

A client that waits for its answer before it sends again slows down with the server, and so never overloads
it. Here the time of each request is fixed in advance, and its latency counts from then. So a generator that
falls behind makes latencies longer and not shorter.
"""

import asyncio
import re
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from time import perf_counter
from typing import cast

import orjson

_LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)
_CLOSE = re.compile(rb"\r\nconnection: *close", re.IGNORECASE)
_END_OF_HEAD = b"\r\n\r\n"


@dataclass(slots=True, eq=False)
class Sent:
    """One request and its result; times by `perf_counter`.

    Attributes:
        due: time at which it was to be sent.
        done: time at which its whole answer had arrived; 0 before that.
        status: status of the answer; 0 where the connection broke.
        code: code of a refusal.
        retry_after: seconds in a refusal's body.
    """

    due: float
    done: float = 0.0
    status: int = 0
    code: str = ""
    retry_after: float | None = None

    @property
    def seconds(self) -> float:
        """Latency, from the time at which it was due."""
        return self.done - self.due


class Connection(asyncio.Protocol):
    """Persistent connection that takes one request at a time."""

    def __init__(
        self, on_idle: "Callable[[Connection], None]", on_lost: "Callable[[Connection], None]"
    ) -> None:
        self._on_idle = on_idle
        self._on_lost = on_lost
        self._received = b""
        self._sent: Sent | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # uvloop's transports are not instances of asyncio's.
        self._transport = cast("asyncio.Transport", transport)

    def send(self, request: bytes, sent: Sent) -> None:
        """Send a request, and enter its answer into `sent`."""
        assert self._sent is None
        self._sent, self._received = sent, b""
        self._transport.write(request)

    def close(self) -> None:
        self._transport.close()

    def data_received(self, data: bytes) -> None:
        self._received += data
        at = self._received.find(_END_OF_HEAD)
        if at < 0:
            return
        head, body = self._received[: at + 2], self._received[at + len(_END_OF_HEAD) :]
        length = _LENGTH.search(head)
        # Every answer has a length, except those to streams.
        assert length is not None, head
        if len(body) < int(length[1]):
            return
        self._answered(int(head.split(b" ", 2)[1]), body)
        if _CLOSE.search(head):
            self._transport.close()
        else:
            self._on_idle(self)

    def connection_lost(self, _error: Exception | None) -> None:
        self._answered(0, b"")
        self._on_lost(self)

    def _answered(self, status: int, body: bytes) -> None:
        if self._sent is None:
            return
        sent, self._sent = self._sent, None
        sent.done, sent.status = perf_counter(), status
        if status >= 400:
            problem = orjson.loads(body)
            sent.code, sent.retry_after = problem["code"], problem.get("retry_after")


@dataclass(frozen=True)
class Offered:
    """Result of an offered load.

    Attributes:
        sent: every request that was sent, in order.
        unsent: number of requests that found no free connection.
        seconds: time from the first request to the last.
        latest: most seconds that the generator was behind.
    """

    sent: Sequence[Sent]
    unsent: int
    seconds: float
    latest: float


async def offer(
    port: int, requests: Sequence[bytes], moments: Sequence[float], connections: int, grace: float
) -> Offered:
    """Send one request after the other at the given moments, then await the answers.

    Args:
        port: port of the server.
        requests: requests to send in turn.
        moments: rising times in seconds from now.
        connections: number of connections, opened at the start.
        grace: seconds after the last moment; later answers count as missing.
    """
    idle: list[Connection] = []
    every: set[Connection] = set()
    quiet = asyncio.Event()

    def on_idle(connection: Connection) -> None:
        idle.append(connection)
        if len(idle) == len(every):
            quiet.set()

    def on_lost(connection: Connection) -> None:
        every.discard(connection)
        if connection in idle:
            idle.remove(connection)
        if len(idle) == len(every):
            quiet.set()

    for _ in range(connections):
        every.add(await _connect(port, on_idle, on_lost))
    idle.extend(every)
    started = perf_counter()
    sent: list[Sent] = []
    unsent, latest = 0, 0.0
    for number, moment in enumerate(moments):
        due = started + moment
        ahead = due - perf_counter()
        # Sleeps are coarse: a request that is due within a millisecond is sent now. Answers are read
        # meanwhile.
        if ahead > 0.001 or number % 16 == 0:
            await asyncio.sleep(max(0.0, ahead))
        latest = max(latest, perf_counter() - due)
        if not idle:
            unsent += 1
            continue
        request = Sent(due)
        idle.pop().send(requests[number % len(requests)], request)
        sent.append(request)
    seconds = perf_counter() - started
    if len(idle) < len(every):
        quiet.clear()
        with suppress(TimeoutError):
            await asyncio.wait_for(quiet.wait(), grace)
    for connection in list(every):
        connection.close()
    return Offered(sent, unsent, seconds, latest)


async def saturate(port: int, requests: Sequence[bytes], clients: int, seconds: float) -> list[Sent]:
    """Run clients that send, wait for their answer and send again, for some seconds: full load."""
    sent: list[Sent] = []
    ended = asyncio.Semaphore(0)
    until = perf_counter() + seconds

    def next_one(connection: Connection) -> None:
        now = perf_counter()
        if now >= until:
            connection.close()
            return
        request = Sent(now)
        connection.send(requests[len(sent) % len(requests)], request)
        sent.append(request)

    for connection in [await _connect(port, next_one, lambda _: ended.release()) for _ in range(clients)]:
        next_one(connection)
    for _ in range(clients):
        await ended.acquire()
    return sent


async def _connect(
    port: int, on_idle: Callable[[Connection], None], on_lost: Callable[[Connection], None]
) -> Connection:
    loop = asyncio.get_running_loop()
    _, connection = await loop.create_connection(lambda: Connection(on_idle, on_lost), "127.0.0.1", port)
    return connection
