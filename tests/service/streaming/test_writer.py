"""Answers for clients that read, read late, or never read."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

import pytest

from service.errors import ServiceError
from service.streaming import writer as module
from service.streaming.writer import AnswerWriter, UnreadLimits
from tests.service.streaming.test_spool import largest_file

MEBIBYTE = 2**20
LIMITS = UnreadLimits(bytes=20 * MEBIBYTE, client_seconds=0.05)


class Client:
    """The other side of a connection.

    Attributes:
        sends: whether its request goes on.
        reads: set while it takes its answers.
        taken: what it took.
        failure: raised by the connection.
    """

    def __init__(self, *, sends: bool, reads: bool) -> None:
        self.sends = sends
        self.reads = asyncio.Event()
        if reads:
            self.reads.set()
        self.taken: list[bytes] = []
        self.failure: Exception | None = None

    async def take(self, data: bytes) -> None:
        await self.reads.wait()
        if self.failure is not None:
            raise self.failure
        self.taken.append(data)

    @property
    def received(self) -> bytes:
        return b"".join(self.taken)


@asynccontextmanager
async def writing_to(client: Client, limits: UnreadLimits = LIMITS) -> AsyncIterator[AnswerWriter]:
    async with AnswerWriter(client.take, lambda: client.sends, limits) as writer:
        yield writer


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whether a client reads is not waited for."""
    monkeypatch.setattr(module, "_READING_SECONDS", 0)


def pieces(count: int, size: int = MEBIBYTE) -> Sequence[bytes]:
    return [number.to_bytes(4, "little") * (size // 4) for number in range(count)]


async def turns() -> None:
    for _ in range(100):
        await asyncio.sleep(0)


def test_a_client_that_sends_everything_first_gets_everything() -> None:
    async def scenario() -> None:
        client = Client(sends=True, reads=False)
        async with writing_to(client) as writer:
            for piece in pieces(10):
                await asyncio.wait_for(writer.write(piece), 30)
            assert writer._spool.size > 0
            client.sends = False
            client.reads.set()
            await asyncio.wait_for(writer.finish(b"the end"), 30)
            assert client.received == b"".join(pieces(10)) + b"the end"
            assert writer._spool.size == 0

    asyncio.run(scenario())


def test_what_a_client_reads_is_neither_kept_nor_copied() -> None:
    async def scenario() -> None:
        client = Client(sends=True, reads=True)
        async with writing_to(client) as writer:
            for piece in pieces(100, 4096):
                await writer.write(piece)
                await turns()
                assert client.taken[-1] is piece
                assert writer._spool._segments == type(writer._spool._segments)()

    asyncio.run(scenario())


def test_a_client_that_reads_while_it_sends_is_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_READING_SECONDS", 30)

    async def scenario() -> None:
        client = Client(sends=True, reads=False)
        async with writing_to(client) as writer:
            first, *rest = pieces(5)
            await writer.write(first)
            await turns()
            waiting = asyncio.create_task(writer.write(rest[0]))
            await turns()
            assert not waiting.done()
            client.reads.set()
            await waiting
            for piece in rest[1:]:
                await writer.write(piece)
            assert writer._spool.size == 0
            await writer.finish(b"")
            assert client.received == b"".join(pieces(5))

    asyncio.run(scenario())


def test_once_everything_is_sent_an_unread_answer_stops_the_work() -> None:
    async def scenario() -> None:
        client = Client(sends=False, reads=False)
        async with writing_to(client) as writer:
            first, second, third = pieces(3)
            await writer.write(first)
            stopped = asyncio.create_task(writer.write(second))
            await turns()
            assert not stopped.done()
            assert writer._spool.size == 0
            client.reads.set()
            await stopped
            await writer.finish(third)
            assert client.received == first + second + third

    asyncio.run(scenario())


def test_who_has_been_kept_for_is_waited_for_when_everything_is_sent() -> None:
    async def scenario() -> None:
        client = Client(sends=True, reads=False)
        async with writing_to(client) as writer:
            for piece in pieces(5):
                await writer.write(piece)
            client.sends = False
            stopped = asyncio.create_task(writer.write(b"more"))
            await turns()
            assert not stopped.done()
            client.reads.set()
            await stopped
            await writer.finish(b"")
            assert client.received == b"".join(pieces(5)) + b"more"

    asyncio.run(scenario())


def test_beyond_the_limit_the_stream_ends_and_what_was_kept_is_not_lost() -> None:
    async def scenario() -> None:
        client = Client(sends=True, reads=False)
        async with writing_to(client, UnreadLimits(3 * MEBIBYTE, client_seconds=0.01)) as writer:
            for piece in pieces(3):
                await writer.write(piece)
            with pytest.raises(ServiceError) as caught:
                await writer.write(b"one byte more")
            assert (caught.value.status, caught.value.code) == (413, "answers_not_read")
            assert caught.value.setting == "INFOMAX_MAX_UNREAD_BYTES"
            client.reads.set()
            await writer.finish(b"the end")
            assert client.received == b"".join(pieces(3)) + b"one byte more" + b"the end"

    asyncio.run(scenario())


def test_at_the_limit_a_client_that_reads_on_is_waited_for() -> None:
    async def scenario() -> None:
        client = Client(sends=True, reads=False)
        async with writing_to(client, UnreadLimits(3 * MEBIBYTE, client_seconds=30)) as writer:
            for piece in pieces(3):
                await writer.write(piece)
            stopped = asyncio.create_task(writer.write(b"more"))
            await turns()
            assert not stopped.done()
            client.reads.set()
            await stopped

    asyncio.run(scenario())


def test_at_the_limit_it_is_enough_to_have_sent_everything() -> None:
    async def scenario() -> None:
        client = Client(sends=True, reads=False)
        async with writing_to(client, UnreadLimits(3 * MEBIBYTE, client_seconds=0.2)) as writer:
            for piece in pieces(3):
                await writer.write(piece)
            stopped = asyncio.create_task(writer.write(b"more"))
            await turns()
            client.sends = False
            await asyncio.wait([stopped], timeout=0.4)
            assert not stopped.done()
            client.reads.set()
            await stopped

    asyncio.run(scenario())


def test_a_full_disk_ends_the_stream_and_costs_no_answer() -> None:
    async def scenario() -> None:
        client = Client(sends=True, reads=False)
        async with writing_to(client) as writer:
            for piece in pieces(3):
                await writer.write(piece)
            with largest_file(MEBIBYTE), pytest.raises(ServiceError) as caught:
                await writer.write(b"x" * 2 * MEBIBYTE)
            assert (caught.value.status, caught.value.code) == (507, "storage_full")
            client.reads.set()
            await writer.finish(b"the end")
            assert client.received == b"".join(pieces(3)) + b"x" * 2 * MEBIBYTE + b"the end"

    asyncio.run(scenario())


@pytest.mark.parametrize("sends", [True, False])
def test_a_connection_that_fails_stops_whoever_writes(sends: bool) -> None:
    async def scenario() -> None:
        client = Client(sends=sends, reads=False)
        async with writing_to(client, UnreadLimits(MEBIBYTE, client_seconds=30)) as writer:
            await writer.write(b"answer")
            waiting = asyncio.create_task(writer.write(bytes(2 * MEBIBYTE)))
            await turns()
            client.failure = OSError("lost")
            client.reads.set()
            with pytest.raises(OSError, match="lost"):
                await asyncio.wait_for(waiting, 30)
            with pytest.raises(OSError, match="lost"):
                await asyncio.wait_for(writer.finish(b"the end"), 30)

    asyncio.run(scenario())
