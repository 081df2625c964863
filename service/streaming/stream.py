"""Stream of items, answered in the same order, of which a bounded part is held at any time.

One task reads, several prepare chunks at the same time, one concludes and writes them in order. While few
chunks are prepared, no item waits for a chunk to fill. So chunks grow with the load, and a slow client's
items are answered as they come. The items between reading and writing are bounded, and the bound is the
client's back-pressure: where it does not read its answers, its input is not read.
"""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from typing import Generic, Protocol, TypeVar

from service.errors import ServiceError
from service.inference.results import Failed
from service.inputs.stream import IMAGE_WEIGHT, Groups, StreamItem
from service.settings import Settings
from service.streaming.answers import Answer
from service.system.cpu_count import usable_cores

# Chunks that are prepared at the same time: decoding and inference both have one at hand and one to come, on
# every core.
_LEAST_CHUNKS = 4
_CHUNKS_EACH = 2
# The same for photographs: a chunk holds one or two, and several chunks make a batch.
_FULL_CHUNKS_EACH = 8
# With this bound a chunk of photographs takes hardly longer than one of small images. So cores that share a
# stream finish at nearly the same time.
_CHUNK_BYTES = 2**20
# One stream may hold this part of the bytes that the process may hold.
_BYTES_SHARE = 8
# Refusals that every later item would get too.
_FINAL = ("shutting_down", "not_ready", "quota_exceeded")

T = TypeVar("T")
Write = Callable[[Sequence[Answer]], Awaitable[None]]
"""Takes the answers of one chunk; returns when there is room for the next."""


class ItemHandler(Protocol[T]):
    """Handler of the items of a stream."""

    async def prepare(self, items: Sequence[StreamItem]) -> T:
        """Do the part that several chunks do at the same time.

        Raises:
            ServiceError: none of the items can be answered.
        """

    async def conclude(self, items: Sequence[StreamItem], prepared: T) -> Sequence[Answer]:
        """Do the part that chunks do one after the other; return one answer for each item, in order."""


@dataclass(frozen=True)
class Window:
    """Bounds of the part of a stream that is held at a time.

    Attributes:
        chunk: most images of a chunk; an item of another kind counts by its weight, here and below.
        chunk_bytes: a chunk with so many bytes takes no further item.
        chunks: most chunks of any size that are read and not answered; further items gather.
        full_chunks: most full chunks that are prepared at the same time.
        items: nothing more is read while so many items are held.
        bytes: nothing more is read while so many bytes are held.
    """

    chunk: int
    chunk_bytes: int
    chunks: int
    full_chunks: int
    items: int
    bytes: int

    @classmethod
    def of(cls, settings: Settings) -> "Window":
        cores = usable_cores()
        chunks = max(_LEAST_CHUNKS, _CHUNKS_EACH * cores)
        return cls(
            chunk=settings.max_batch,
            chunk_bytes=_CHUNK_BYTES,
            chunks=chunks,
            full_chunks=max(chunks, _FULL_CHUNKS_EACH * cores),
            items=(chunks + 1) * settings.max_batch,
            bytes=settings.queue_bytes // _BYTES_SHARE,
        )


@dataclass(frozen=True, slots=True, eq=False)
class _Chunk(Generic[T]):
    """Chunk of items; `prepared` is resolved with a refusal where none of them can be answered."""

    items: list[StreamItem]
    prepared: asyncio.Future[T | ServiceError]


class Stream(Generic[T]):
    """Stream that runs once. All methods belong to one event loop."""

    def __init__(self, groups: Groups, handler: ItemHandler[T], window: Window) -> None:
        self._groups = groups
        self._handler = handler
        self._window = window
        self._waiting: deque[StreamItem] = deque()
        self._waiting_weight = 0
        self._waiting_bytes = 0
        self._preparing = 0
        self._open = 0
        self._held_items = 0
        self._held_weight = 0
        self._held_bytes = 0
        self._changed = asyncio.Condition()
        self._in_order: asyncio.Queue[_Chunk[T] | None] = asyncio.Queue()
        self._reader: asyncio.Task[None] | None = None
        self._read_to_end = False
        self._failure: ServiceError | None = None

    @property
    def held(self) -> int:
        """Items that were read and are not written yet."""
        return self._held_items

    async def run(self, write: Write) -> ServiceError | None:
        """Answer every item that can be read.

        Returns:
            why the stream ended early; every item read until then has been answered. None for its end.
        """
        try:
            async with asyncio.TaskGroup() as tasks:
                self._reader = tasks.create_task(self._read())
                tasks.create_task(self._prepare())
                await self._conclude(write)
        except BaseExceptionGroup as group:
            raise _first(group) from group
        return self._failure

    async def _read(self) -> None:
        try:
            async with aclosing(self._groups) as groups:
                async for group in groups:
                    await self._take_in(group)
        except ServiceError as error:
            self._failure = self._failure or error
        finally:
            async with self._changed:
                self._read_to_end = True
                self._changed.notify_all()

    async def _take_in(self, group: Sequence[StreamItem]) -> None:
        async with self._changed:
            size = sum(item.size for item in group)
            weight = sum(item.weight for item in group)
            self._waiting.extend(group)
            self._waiting_weight += weight
            self._waiting_bytes += size
            self._held_items += len(group)
            self._held_weight += weight
            self._held_bytes += sum(item.held for item in group)
            self._changed.notify_all()
            await self._changed.wait_for(self._has_room)

    def _has_room(self) -> bool:
        window = self._window
        return self._held_weight < window.items * IMAGE_WEIGHT and self._held_bytes < window.bytes

    async def _prepare(self) -> None:
        async with asyncio.TaskGroup() as tasks:
            while True:
                async with self._changed:
                    await self._changed.wait_for(lambda: self._may_begin() or self._at_end())
                if self._at_end():
                    break
                tasks.create_task(self._prepare_chunks(self._next_chunk()))
        self._in_order.put_nowait(None)

    def _next_chunk(self) -> _Chunk[T]:
        """Make a chunk of the items that wait, and take its place in the order."""
        items: list[StreamItem] = []
        size = weight = 0
        most = self._window.chunk * IMAGE_WEIGHT
        while self._waiting and weight < most and size < self._window.chunk_bytes:
            item = self._waiting.popleft()
            items.append(item)
            size += item.size
            weight += item.weight
        self._waiting_bytes -= size
        self._waiting_weight -= weight
        self._preparing += 1
        self._open += 1
        chunk: _Chunk[T] = _Chunk(items, asyncio.get_running_loop().create_future())
        self._in_order.put_nowait(chunk)
        return chunk

    def _may_begin(self) -> bool:
        """Whether the items that wait make another chunk beside those that are not answered yet."""
        window = self._window
        if self._open < window.chunks:
            return bool(self._waiting)
        full = (
            self._waiting_weight >= window.chunk * IMAGE_WEIGHT or self._waiting_bytes >= window.chunk_bytes
        )
        return full and self._preparing < window.full_chunks

    def _at_end(self) -> bool:
        return self._read_to_end and not self._waiting

    async def _prepare_chunks(self, chunk: _Chunk[T]) -> None:
        """Prepare a chunk, then the next ones while there are some."""
        while True:
            try:
                chunk.prepared.set_result(await self._handler.prepare(chunk.items))
            except ServiceError as error:
                chunk.prepared.set_result(error)
                if error.code in _FINAL:
                    self._stop_reading(error)
            self._preparing -= 1
            if not self._may_begin():
                return
            chunk = self._next_chunk()

    def _stop_reading(self, reason: ServiceError) -> None:
        self._failure = self._failure or reason
        if self._reader is not None:
            self._reader.cancel()

    async def _conclude(self, write: Write) -> None:
        while chunk := await self._in_order.get():
            prepared = await chunk.prepared
            if isinstance(prepared, ServiceError):
                failed = Failed(prepared.code, str(prepared), prepared.limit)
                answers: Sequence[Answer] = [Answer(item.index, item.id, failed) for item in chunk.items]
            else:
                answers = await self._handler.conclude(chunk.items, prepared)
            await write(answers)
            async with self._changed:
                self._open -= 1
                self._held_items -= len(chunk.items)
                self._held_weight -= sum(item.weight for item in chunk.items)
                self._held_bytes -= sum(item.held for item in chunk.items)
                self._changed.notify_all()


def _first(group: BaseExceptionGroup) -> BaseException:
    """Find the first error; the others are its consequences."""
    error: BaseException = group
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error
