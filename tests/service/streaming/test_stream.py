"""The laws of a stream: every item once, in order, and never more of it held than the window allows."""

import asyncio
from collections.abc import Sequence
from itertools import accumulate

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.errors import ServiceError
from service.inputs.stream import IMAGE_WEIGHT, BareVector, Groups, StreamItem
from service.streaming.answers import Answer
from service.streaming.stream import Stream, Window

WINDOW = Window(chunk=4, chunk_bytes=10**6, chunks=3, full_chunks=5, items=16, bytes=10**9)


class Echo:
    """Answers every item after some turns of the event loop.

    Attributes:
        turns: how many, by the index of a chunk's first item; others take one.
        refusals: raised in place of an answer, likewise.
        concluded: first items of chunks in the order of their conclusion.
        closed: whether the source of the items was closed.
        read: items that the source has yielded.
    """

    def __init__(self) -> None:
        self.turns: dict[int, int] = {}
        self.refusals: dict[int, Exception] = {}
        self.concluded: list[int] = []
        self.closed = False
        self.read = 0
        self._concluding = False

    async def prepare(self, items: Sequence[StreamItem]) -> list[Answer]:
        await turns(self.turns.get(items[0].index, 1))
        if refusal := self.refusals.get(items[0].index):
            raise refusal
        return [Answer(item.index, item.id) for item in items]

    async def conclude(self, items: Sequence[StreamItem], prepared: list[Answer]) -> list[Answer]:
        assert not self._concluding, "chunks are concluded one after the other"
        self._concluding = True
        await turns(2)
        self._concluding = False
        self.concluded.append(items[0].index)
        return prepared

    async def source(self, sizes: Sequence[int], end: Exception | None = None, size: int = 0) -> Groups:
        """Groups of these sizes, all items of `size` bytes, then `end`."""
        try:
            for start, count in zip(accumulate(sizes, initial=0), sizes, strict=False):
                self.read += count
                yield [StreamItem(index, str(index), bytes(size)) for index in range(start, start + count)]
            if end is not None:
                raise end
        finally:
            self.closed = True


async def turns(count: int) -> None:
    for _ in range(count):
        await asyncio.sleep(0)


async def settled() -> None:
    """After so many turns every task waits for something that does not come by itself."""
    await turns(1000)


def shutting_down() -> ServiceError:
    return ServiceError(503, "shutting_down", "The service is stopping.")


@given(
    sizes=st.lists(st.integers(0, 30), max_size=20),
    slow=st.dictionaries(st.integers(0, 100), st.integers(0, 50), max_size=20),
)
def test_every_item_is_answered_once_and_in_order(sizes: list[int], slow: dict[int, int]) -> None:
    echo = Echo()
    echo.turns = slow
    answered: list[int] = []

    async def write(answers: Sequence[Answer]) -> None:
        answered.extend(answer.index for answer in answers)

    failure = asyncio.run(Stream(echo.source(sizes), echo, WINDOW).run(write))
    assert failure is None
    assert answered == list(range(sum(sizes)))
    assert echo.concluded == sorted(echo.concluded)


@pytest.mark.parametrize("group", [1, 3, 40])
def test_a_slow_reader_keeps_ten_thousand_items_outside(group: int) -> None:
    echo = Echo()
    written, most = 0, 0

    async def scenario() -> None:
        stream = Stream(echo.source([group] * (10_000 // group)), echo, WINDOW)

        async def write(answers: Sequence[Answer]) -> None:
            nonlocal written, most
            await turns(30)
            most = max(most, echo.read - written)
            assert stream.held == echo.read - written
            written += len(answers)

        await stream.run(write)
        assert stream.held == 0

    asyncio.run(scenario())
    assert written == echo.read == 10_000 // group * group
    # What comes in one piece is taken as a whole, but only when there was room for its first item.
    assert WINDOW.items <= most < WINDOW.items + group


def test_a_reader_who_stops_stops_the_reading() -> None:
    echo = Echo()

    async def scenario() -> None:
        async def write(answers: Sequence[Answer]) -> None:
            await asyncio.Event().wait()

        running = asyncio.create_task(Stream(echo.source([1] * 10_000), echo, WINDOW).run(write))
        await settled()
        assert echo.read == WINDOW.items
        running.cancel()
        with pytest.raises(asyncio.CancelledError):
            await running
        assert echo.closed

    asyncio.run(scenario())


def test_few_large_images_fill_the_window_as_well() -> None:
    echo = Echo()
    window = Window(chunk=4, chunk_bytes=10**6, chunks=3, full_chunks=3, items=1000, bytes=10_000)

    async def scenario() -> None:
        async def write(answers: Sequence[Answer]) -> None:
            await asyncio.Event().wait()

        stream = Stream(echo.source([1] * 10_000, size=3000), echo, window)
        running = asyncio.create_task(stream.run(write))
        await settled()
        assert echo.read == 4
        running.cancel()
        await asyncio.wait([running])

    asyncio.run(scenario())


def test_only_full_chunks_are_begun_beside_many_others() -> None:
    sizes: list[int] = []

    class Endless(Echo):
        async def prepare(self, items: Sequence[StreamItem]) -> list[Answer]:
            sizes.append(len(items))
            await asyncio.Event().wait()
            return []

    async def scenario(items: int, size: int) -> list[int]:
        sizes.clear()
        echo = Endless()
        window = Window(chunk=4, chunk_bytes=200, chunks=2, full_chunks=5, items=1000, bytes=10**9)

        async def write(answers: Sequence[Answer]) -> None:
            raise AssertionError("nothing is ever prepared")

        running = asyncio.create_task(Stream(echo.source([items], size=size), echo, window).run(write))
        await settled()
        running.cancel()
        await asyncio.wait([running])
        return sizes

    assert asyncio.run(scenario(items=7, size=1)) == [4, 3]
    assert asyncio.run(scenario(items=15, size=1)) == [4, 4, 4]
    assert asyncio.run(scenario(items=40, size=1)) == 5 * [4]
    assert asyncio.run(scenario(items=40, size=100)) == 5 * [2]


def test_a_chunk_of_large_images_is_a_short_one() -> None:
    echo = Echo()
    window = Window(chunk=4, chunk_bytes=5000, chunks=3, full_chunks=3, items=1000, bytes=10**9)
    lengths: list[int] = []

    async def write(answers: Sequence[Answer]) -> None:
        lengths.append(len(answers))

    for size, most in ((1, 4), (3000, 2), (9000, 1)):
        lengths.clear()
        asyncio.run(Stream(echo.source([12], size=size), echo, window).run(write))
        assert lengths == [most] * (12 // most)


def test_an_item_is_answered_before_the_next_one_is_sent() -> None:
    """A slow client's items wait for no company."""
    written: asyncio.Queue[int] = asyncio.Queue()

    async def one_by_one() -> Groups:
        for index in range(20):
            yield [StreamItem(index, str(index), b"")]
            assert await written.get() == index

    async def write(answers: Sequence[Answer]) -> None:
        for answer in answers:
            written.put_nowait(answer.index)

    async def scenario() -> None:
        assert await asyncio.wait_for(Stream(one_by_one(), Echo(), WINDOW).run(write), 30) is None

    asyncio.run(scenario())


def test_the_items_before_the_damage_are_answered() -> None:
    echo = Echo()
    damage = ServiceError(422, "damaged_stream", "It is damaged.")
    answered: list[int] = []

    async def write(answers: Sequence[Answer]) -> None:
        answered.extend(answer.index for answer in answers)

    failure = asyncio.run(Stream(echo.source([10, 10], damage), echo, WINDOW).run(write))
    assert failure is damage
    assert answered == list(range(20))


def test_a_refused_chunk_costs_the_others_nothing() -> None:
    echo = Echo()
    echo.refusals = {4: ServiceError(413, "too_many_bytes", "The chunk is too large.", limit=7)}
    codes: list[str | None] = []

    async def write(answers: Sequence[Answer]) -> None:
        codes.extend(answer.failed.code if answer.failed else None for answer in answers)

    failure = asyncio.run(Stream(echo.source([12]), echo, WINDOW).run(write))
    assert failure is None
    assert codes == [None] * 4 + ["too_many_bytes"] * 4 + [None] * 4


def test_a_service_that_stops_ends_the_stream_after_what_was_read() -> None:
    echo = Echo()
    refusal = shutting_down()
    echo.refusals = dict.fromkeys(range(8, 10000), refusal)
    answers: list[Answer] = []

    async def write(chunk: Sequence[Answer]) -> None:
        answers.extend(chunk)

    failure = asyncio.run(Stream(echo.source([4] * 2500), echo, WINDOW).run(write))
    assert failure is refusal
    assert echo.closed
    assert len(answers) == echo.read < 8 + WINDOW.items
    assert [answer.index for answer in answers] == list(range(len(answers)))
    assert {answer.failed.code if answer.failed else "ok" for answer in answers[:8]} == {"ok"}
    assert {answer.failed.code if answer.failed else "ok" for answer in answers[8:]} == {"shutting_down"}


def test_a_service_that_stops_does_not_wait_for_a_client_who_sends_nothing() -> None:
    echo = Echo()
    echo.refusals = {0: shutting_down()}

    async def stalled() -> Groups:
        yield [StreamItem(0, "0", b"")]
        await asyncio.Event().wait()

    async def write(_answers: Sequence[Answer]) -> None:
        pass

    async def scenario() -> None:
        failure = await asyncio.wait_for(Stream(stalled(), echo, WINDOW).run(write), 30)
        assert failure is not None

    asyncio.run(scenario())


@pytest.mark.parametrize("where", ["source", "prepare", "write"])
def test_what_nobody_foresaw_ends_everything_and_is_not_hidden(where: str) -> None:
    echo = Echo()
    error = OSError("unforeseen")
    if where == "prepare":
        echo.refusals = {4: error}

    async def write(answers: Sequence[Answer]) -> None:
        if where == "write" and answers[0].index:
            raise error

    async def scenario() -> None:
        source = echo.source([4] * 1000, error if where == "source" else None)
        with pytest.raises(OSError, match="unforeseen"):
            await Stream(source, echo, WINDOW).run(write)
        assert echo.closed
        assert asyncio.all_tasks() == {asyncio.current_task()}

    asyncio.run(scenario())


def test_vectors_weigh_less_than_images_and_gather_while_others_are_concluded() -> None:
    """A commit takes as long for ten of them as for a thousand."""
    count = 20_000
    sizes: list[int] = []

    class Store(Echo):
        async def conclude(self, items: Sequence[StreamItem], prepared: list[Answer]) -> list[Answer]:
            await turns(20)
            sizes.append(len(items))
            return prepared

    async def source() -> Groups:
        for start in range(0, count, 10):
            await asyncio.sleep(0)
            yield [
                StreamItem(index, str(index), BareVector(np.ones(4))) for index in range(start, start + 10)
            ]

    most = 0

    async def scenario() -> None:
        stream = Stream(source(), Store(), WINDOW)

        async def write(answers: Sequence[Answer]) -> None:
            nonlocal most
            most = max(most, stream.held)

        await stream.run(write)

    asyncio.run(scenario())
    assert sum(sizes) == count
    assert max(sizes) <= WINDOW.chunk * IMAGE_WEIGHT
    assert WINDOW.items < most <= WINDOW.items * IMAGE_WEIGHT + 10
    # Not a chunk for each group of ten.
    assert len(sizes) < count / 10 / 2


def test_the_bytes_of_waiting_vectors_are_bounded() -> None:
    window = Window(chunk=4, chunk_bytes=10**6, chunks=3, full_chunks=5, items=10**6, bytes=100_000)
    most = 0

    async def source() -> Groups:
        for index in range(2000):
            yield [StreamItem(index, str(index), BareVector(np.ones(512)))]

    async def scenario() -> None:
        stream = Stream(source(), Echo(), window)

        async def write(_answers: Sequence[Answer]) -> None:
            nonlocal most
            await turns(30)
            most = max(most, stream.held)

        await stream.run(write)

    asyncio.run(scenario())
    assert most <= 100_000 / 4096 + 1
