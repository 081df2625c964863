"""How much the process holds, counted in images and in bytes, and when there will be room again."""

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from time import perf_counter

from service.errors import ServiceError
from service.inference.deadline import Deadline
from service.inference.priority_queue import INTERACTIVE_SHARE
from service.inference.results import Priority
from service.metrics import QUEUE_DEPTH

# Bulk work may fill half of the room, so that there is some when an interactive call comes.
_BULK_SHARE = 0.5
_HALF_LIFE = 2.0
# What was measured loses its weight when nothing more is: the images of now may be other ones.
_TRUSTED_SECONDS = 60.0
# How much the latest batch counts in what a batch takes.
_NEWEST_SHARE = 0.1


@dataclass(frozen=True, slots=True)
class Load:
    """What a call brings: images, and their bytes encoded and decoded."""

    items: int
    bytes: int

    def __add__(self, other: "Load") -> "Load":
        return Load(self.items + other.items, self.bytes + other.bytes)

    def __sub__(self, other: "Load") -> "Load":
        return Load(self.items - other.items, self.bytes - other.bytes)

    def within(self, limit: "Load") -> bool:
        return self.items <= limit.items and self.bytes <= limit.bytes


_NOTHING = Load(0, 0)


class Rate:
    """Images answered per second of full work, recent seconds counting more.

    Only time in which a whole batch was waiting counts: a service with little to do answers little, and
    that says nothing of what it could.
    """

    def __init__(self, first_guess: float) -> None:
        self._first_guess = first_guess
        self._items = first_guess
        self._seconds = 1.0
        self._since = 0.0

    @property
    def per_second(self) -> float:
        return self._items / self._seconds

    def pause(self, now: float) -> None:
        """The time up to now does not count; it brings the rate closer to the first guess."""
        weight = 0.5 ** ((now - self._since) / _TRUSTED_SECONDS)
        self._items = self._items * weight + self._first_guess * (1 - weight)
        self._seconds = self._seconds * weight + (1 - weight)
        self._since = now

    def add(self, items: int, now: float) -> None:
        """Images were answered since the last call of either method."""
        elapsed = now - self._since
        weight = 0.5 ** (elapsed / _HALF_LIFE)
        self._items = self._items * weight + items
        self._seconds = self._seconds * weight + elapsed
        self._since = now


class Admission:
    """The door. All of it runs on one event loop."""

    def __init__(
        self,
        limit: Load,
        full_batch: int,
        first_rate: float,
        longest_wait: float,
        on_work: Callable[[int], None] = lambda _: None,
    ) -> None:
        """Open the door.

        Args:
            limit: the room.
            full_batch: images that at once are full work.
            first_rate: images a second, believed until more is measured.
            longest_wait: seconds that an interactive call may have to wait for what came before it.
            on_work: called with 1 when something is held after nothing was, with -1 when nothing is again.
        """
        self.rate = Rate(first_rate)
        self._longest_wait = longest_wait
        self._batch_seconds = 0.0
        self._full_batch = full_batch
        self._limit = limit
        self._bulk_limit = Load(max(1, int(limit.items * _BULK_SHARE)), int(limit.bytes * _BULK_SHARE))
        self._held = dict.fromkeys(Priority, _NOTHING)
        self._all_held = _NOTHING
        self._waiting: deque[tuple[Load, asyncio.Future[None]]] = deque()
        self._empty = asyncio.Event()
        self._empty.set()
        self._closed = False
        self._on_work = on_work

    @property
    def held(self) -> Load:
        return self._all_held

    @property
    def closed(self) -> bool:
        """Whether nothing more is admitted."""
        return self._closed

    @asynccontextmanager
    async def admit(
        self, load: Load, priority: Priority, deadline: Deadline | None = None
    ) -> AsyncIterator[None]:
        """Hold room for a whole call, or for nothing of it.

        A bulk call waits for its turn; one that is larger than the bulk share goes alone.

        Raises:
            ServiceError: 503 `overloaded` or `shutting_down`; 413 `too_many_items` or `too_many_bytes`
                for an interactive call that not even an idle service has room for; 503
                `deadline_unreachable` for one whose answer would come after its deadline.
        """
        if self._closed:
            raise shutting_down()
        if priority is Priority.INTERACTIVE:
            self._check_interactive(load)
            self.check_wait(deadline)
            self._enter(load, priority)
        elif self._waiting or not self._bulk_fits(load):
            await self._turn(load)
        else:
            self._enter(load, priority)
        try:
            yield
        finally:
            self._leave(load, priority)

    def close(self) -> None:
        """Admit nothing more; bulk calls that wait are refused."""
        self._closed = True
        while self._waiting:
            _, turn = self._waiting.popleft()
            if not turn.done():
                turn.set_exception(shutting_down())

    async def until_empty(self) -> None:
        await self._empty.wait()

    def finished(self, items: int, batch_seconds: float = 0.0) -> None:
        """Images were answered, but still count as held; feeds the rate that Retry-After is made of.

        `batch_seconds` is the run time of the batch that they were in, where they came so far.
        """
        if batch_seconds:
            share = _NEWEST_SHARE if self._batch_seconds else 1.0
            self._batch_seconds += share * (batch_seconds - self._batch_seconds)
        if self.held.items >= self._full_batch:
            self.rate.add(items, perf_counter())
        else:
            self.rate.pause(perf_counter())

    def check_wait(self, deadline: Deadline | None = None) -> None:
        """Refuse whoever comes now, whatever it brings, where it would have to wait too long.

        The length of the queue alone bounds no time: it would be seconds at one rate and minutes at another.

        Raises:
            ServiceError: 503 `overloaded` or `deadline_unreachable`.
        """
        if self.held.items >= self._full_batch and self._wait > self._longest_wait:
            raise self._overloaded(self._wait)
        if deadline is not None:
            self._check_deadline(deadline)

    @property
    def _wait(self) -> float:
        """Seconds until what is before an interactive call that comes now is done."""
        share = INTERACTIVE_SHARE if self._held[Priority.BULK].items else 1.0
        return self._held[Priority.INTERACTIVE].items / (self.rate.per_second * share)

    def _overloaded(self, seconds: float) -> ServiceError:
        return ServiceError(
            503,
            "overloaded",
            f"The service holds {self.held.items} images and answers {self.rate.per_second:.0f} a second; "
            f"send the request again in {seconds:.1f} seconds.",
            retry_after=seconds,
        )

    def _check_interactive(self, load: Load) -> None:
        if load.items > self._limit.items:
            raise ServiceError(
                413,
                "too_many_items",
                f"The request holds {load.items} images, the service takes {self._limit.items} at once; "
                "send fewer in one request or raise INFOMAX_QUEUE_ITEMS.",
                limit=self._limit.items,
                setting="INFOMAX_QUEUE_ITEMS",
            )
        if load.bytes > self._limit.bytes:
            raise ServiceError(
                413,
                "too_many_bytes",
                f"The request's images take {load.bytes:,} bytes, the service holds at most "
                f"{self._limit.bytes:,} at once; send fewer in one request or raise INFOMAX_QUEUE_BYTES.",
                limit=self._limit.bytes,
                setting="INFOMAX_QUEUE_BYTES",
            )
        # A bulk call that waits has its room kept, or interactive calls would keep it out for ever.
        kept = self._waiting[0][0] if self._waiting else _NOTHING
        if not (self.held + kept + load).within(self._limit):
            raise self._overloaded(self.held.items / self.rate.per_second)

    def _check_deadline(self, deadline: Deadline) -> None:
        """Refuse what cannot be answered in time, before work is wasted on it."""
        if self.held == _NOTHING:
            # What an idle service takes is known by trying alone.
            return
        wait, remaining = self._wait, deadline.remaining
        expected = wait + self._batch_seconds
        if expected <= remaining:
            return
        # From when on the same deadline can be kept; at the latest when nothing is held any more.
        seconds = min(expected - max(remaining, 0.0), wait)
        raise ServiceError(
            503,
            "deadline_unreachable",
            f"The service holds {self.held.items} images and would answer in about {1000 * expected:.0f} ms, "
            f"the request allows {1000 * deadline.seconds:.0f}; send it again in {seconds:.1f} seconds, or "
            "allow it more time.",
            retry_after=seconds,
        )

    def _bulk_fits(self, load: Load) -> bool:
        if self.held == _NOTHING:
            return True
        bulk = self._held[Priority.BULK]
        own_share = bulk == _NOTHING or (bulk + load).within(self._bulk_limit)
        return own_share and (self.held + load).within(self._limit)

    async def _turn(self, load: Load) -> None:
        turn = asyncio.get_running_loop().create_future()
        entry = (load, turn)
        self._waiting.append(entry)
        try:
            await turn
        except asyncio.CancelledError:
            if entry in self._waiting:
                self._waiting.remove(entry)
                self._let_in()
            elif turn.done() and not turn.cancelled() and turn.exception() is None:
                # Let in and cancelled in the same moment: the room is taken already.
                self._leave(load, Priority.BULK)
            raise

    def _enter(self, load: Load, priority: Priority) -> None:
        if self.held.items < self._full_batch:
            self.rate.pause(perf_counter())
        before = self._all_held
        self._held[priority] += load
        self._all_held += load
        if before == _NOTHING and self._all_held != _NOTHING:
            self._on_work(1)
        self._empty.clear()
        QUEUE_DEPTH.inc(load.items)

    def _leave(self, load: Load, priority: Priority) -> None:
        before = self._all_held
        self._held[priority] -= load
        self._all_held -= load
        # Before others are let in, who begin anew; and not for a call of no images, which began nothing.
        if before != _NOTHING and self._all_held == _NOTHING:
            self._on_work(-1)
        self._let_in()
        if self.held == _NOTHING:
            self._empty.set()
        QUEUE_DEPTH.dec(load.items)

    def _let_in(self) -> None:
        while self._waiting and self._bulk_fits(self._waiting[0][0]):
            load, turn = self._waiting.popleft()
            if not turn.done():
                self._enter(load, Priority.BULK)
                turn.set_result(None)


def shutting_down() -> ServiceError:
    """What is said to everything that comes after the stop signal."""
    return ServiceError(
        503, "shutting_down", "The service is stopping; send the request again.", retry_after=1.0
    )
