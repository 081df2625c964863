"""Writer of a stream's answers to a client that may not read them yet.

Most Python clients send a whole body before they read a byte. With back-pressure both sides would wait for
each other. So the answers to such a client are kept: in memory first, then in a spool. A client that reads
while it sends gets back-pressure, and no answer is copied.
"""

import asyncio
import errno
from collections import deque
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from types import TracebackType

from service.errors import ServiceError
from service.settings import Settings
from service.streaming.spool import Spool

# Bytes that are kept in memory, beside the connection's own buffer.
_MEMORY_BYTES = 2**20
# A client that reads catches up in this time; otherwise its answers are spooled.
_READING_SECONDS = 1.0
_NO_ROOM = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


@dataclass(frozen=True)
class UnreadLimits:
    """Limits of the answers that are kept for a client that sends and does not read.

    Attributes:
        bytes: most bytes of answers.
        client_seconds: seconds for which a client may read nothing once so many bytes are kept.
    """

    bytes: int
    client_seconds: float

    @classmethod
    def of(cls, settings: Settings) -> "UnreadLimits":
        return cls(settings.max_unread_bytes, settings.client_seconds)


class AnswerWriter:
    """Writer with a task of its own. One task at a time uses it."""

    def __init__(
        self,
        send: Callable[[bytes], Awaitable[None]],
        still_sending: Callable[[], bool],
        limits: UnreadLimits,
    ) -> None:
        """Make a writer; it begins when it is entered.

        Args:
            send: returns when the connection has room for more.
            still_sending: whether the client has not sent everything yet.
            limits: limits of the answers that are kept for it then.
        """
        self._send = send
        self._still_sending = still_sending
        self._limits = limits
        self._memory: deque[bytes] = deque()
        self._memory_bytes = 0
        self._spool = Spool()
        # Held while bytes move between memory and spool, so that none overtakes another.
        self._order = asyncio.Lock()
        self._pending = 0
        self._ended = False
        self._more = asyncio.Event()
        self._progress = asyncio.Event()
        self._last_progress = 0.0

    async def __aenter__(self) -> "AnswerWriter":
        self._last_progress = asyncio.get_running_loop().time()
        self._sender = asyncio.create_task(self._send_all())
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._sender.cancel()
        await asyncio.gather(self._sender, return_exceptions=True)
        self._spool.close()

    async def write(self, data: bytes) -> None:
        """Take the next bytes; return when there is room for more. Taken bytes are never dropped.

        Raises:
            ServiceError: 413 `answers_not_read` where the client goes on sending and reads nothing, 507
                `storage_full`. `data` was taken nevertheless.
            Exception: the error that `send` raised.
        """
        self._add(data)
        loop = asyncio.get_running_loop()
        if self._still_sending() and not self._spool.size:
            reads_until = loop.time() + _READING_SECONDS
            while self._pending > _MEMORY_BYTES and await self._progressed(reads_until):
                pass
        if self._still_sending() and self._memory_bytes > _MEMORY_BYTES:
            await self._spill()
        while self._still_sending() and self._pending > self._limits.bytes:
            by = self._last_progress + self._limits.client_seconds
            if not await self._progressed(by) and self._still_sending():
                raise _not_read(self._limits.bytes)
        while self._pending > _MEMORY_BYTES and not self._still_sending():
            # The connection itself limits how long its client may read nothing.
            await self._progressed(None)

    async def finish(self, data: bytes) -> None:
        """Take the last bytes; return when everything is sent.

        Raises:
            Exception: the error that `send` raised.
        """
        self._add(data)
        self._ended = True
        self._more.set()
        await self._sender

    def _add(self, data: bytes) -> None:
        if not data:
            return
        self._memory.append(data)
        self._memory_bytes += len(data)
        self._pending += len(data)
        self._more.set()

    async def _progressed(self, by: float | None) -> bool:
        """Wait until more was sent; False where that is not so at a time of the loop's clock."""
        if self._sender.done():
            # The task has failed.
            self._sender.result()
        self._progress.clear()
        try:
            async with asyncio.timeout_at(by):
                await self._progress.wait()
        except TimeoutError:
            return False
        return True

    async def _spill(self) -> None:
        """Move the bytes in memory into the spool.

        Raises:
            ServiceError: 507 `storage_full`; the bytes stay in memory.
        """
        async with self._order:
            data = b"".join(self._memory)
            try:
                await asyncio.to_thread(self._spool.spill, data)
            except OSError as error:
                if error.errno not in _NO_ROOM:
                    raise
                raise _storage_full() from error
            self._memory.clear()
            self._memory_bytes = 0

    async def _send_all(self) -> None:
        loop = asyncio.get_running_loop()
        try:
            while data := await self._next():
                await self._send(data)
                self._pending -= len(data)
                self._last_progress = loop.time()
                self._progress.set()
        finally:
            self._progress.set()

    async def _next(self) -> bytes:
        """Wait for the oldest bytes and return them; none at the end."""
        while True:
            async with self._order:
                if self._spool.size:
                    return await asyncio.to_thread(self._spool.take)
                if self._memory:
                    data = self._memory[0] if len(self._memory) == 1 else b"".join(self._memory)
                    self._memory.clear()
                    self._memory_bytes = 0
                    return data
            if self._ended:
                return b""
            self._more.clear()
            await self._more.wait()


def _not_read(limit: int) -> ServiceError:
    return ServiceError(
        413,
        "answers_not_read",
        f"The service keeps {limit:,} bytes of answers that the client has not read. Read answers while "
        "you send, send fewer items in one stream, or raise INFOMAX_MAX_UNREAD_BYTES.",
        limit=limit,
        setting="INFOMAX_MAX_UNREAD_BYTES",
    )


def _storage_full() -> ServiceError:
    return ServiceError(
        507,
        "storage_full",
        "The folder for temporary files has no room for answers that the client has not read. Read answers "
        "while you send, or give TMPDIR more room.",
    )
