"""Admission: bounds the images and bytes that a process holds, and estimates when there is room again."""

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

# Bulk calls may fill half of the limit, so that there is room when an interactive call comes.
_BULK_SHARE = 0.5
_HALF_LIFE = 2.0
# A measurement loses its weight while nothing more is measured: the images may have changed.
_TRUSTED_SECONDS = 60.0
# Weight of the latest batch in the average time of a batch.
_NEWEST_SHARE = 0.1


@dataclass(frozen=True, slots=True)
class Resources:
    """Resources that a call takes, or that may be taken.

    Attributes:
        items: images.
        bytes: bytes of the images, encoded and decoded.
    """

    items: int
    bytes: int

    def __add__(self, other: "Resources") -> "Resources":
        return Resources(self.items + other.items, self.bytes + other.bytes)

    def __sub__(self, other: "Resources") -> "Resources":
        return Resources(self.items - other.items, self.bytes - other.bytes)

    def within(self, limit: "Resources") -> bool:
        """Whether both are at most the limit."""
        return self.items <= limit.items and self.bytes <= limit.bytes


_NOTHING = Resources(0, 0)


class Rate:
    """Images answered per second under full load; recent seconds weigh more.

    Only time in which a whole batch was held counts. With little to do a service answers little, and that is
    no measure of its speed.
    """

    def __init__(self, first_guess: float) -> None:
        self._first_guess = first_guess
        self._items = first_guess
        self._seconds = 1.0
        self._since = 0.0

    @property
    def per_second(self) -> float:
        """Images per second."""
        return self._items / self._seconds

    def pause(self, now: float) -> None:
        """Leave out the time up to now; it brings the rate closer to the first guess."""
        weight = 0.5 ** ((now - self._since) / _TRUSTED_SECONDS)
        self._items = self._items * weight + self._first_guess * (1 - weight)
        self._seconds = self._seconds * weight + (1 - weight)
        self._since = now

    def add(self, items: int, now: float) -> None:
        """Count images that were answered since the last call of either method."""
        elapsed = now - self._since
        weight = 0.5 ** (elapsed / _HALF_LIFE)
        self._items = self._items * weight + items
        self._seconds = self._seconds * weight + elapsed
        self._since = now


class Admission:
    """Admission of calls. All methods belong to one event loop."""

    def __init__(
        self,
        limit: Resources,
        full_batch: int,
        first_rate: float,
        longest_wait: float,
        on_busy: Callable[[int], None] = lambda _: None,
    ) -> None:
        """Hold nothing yet.

        Args:
            limit: the most that may be held.
            full_batch: images of a full batch; that many are full load.
            first_rate: images per second, assumed until more is measured.
            longest_wait: seconds that an interactive call may have to wait for the calls before it.
            on_busy: called with 1 when the first call is held, with -1 when the last one is gone.
        """
        self.rate = Rate(first_rate)
        self._longest_wait = longest_wait
        self._batch_seconds = 0.0
        self._full_batch = full_batch
        self._limit = limit
        self._bulk_limit = Resources(max(1, int(limit.items * _BULK_SHARE)), int(limit.bytes * _BULK_SHARE))
        self._held = dict.fromkeys(Priority, _NOTHING)
        self._all_held = _NOTHING
        self._waiting: deque[tuple[Resources, asyncio.Future[None]]] = deque()
        self._empty = asyncio.Event()
        self._empty.set()
        self._closed = False
        self._on_busy = on_busy

    @property
    def held(self) -> Resources:
        """Resources of all calls that are held."""
        return self._all_held

    @property
    def closed(self) -> bool:
        """Whether nothing more is admitted."""
        return self._closed

    @asynccontextmanager
    async def admit(
        self, needed: Resources, priority: Priority, deadline: Deadline | None = None
    ) -> AsyncIterator[None]:
        """Hold the resources of a whole call, or refuse it.

        A bulk call waits for its turn. One that is larger than the bulk share runs alone.

        Raises:
            ServiceError: 503 `overloaded` or `shutting_down`; 413 `too_many_items` or `too_many_bytes`
                for an interactive call that an idle service has no room for; 503 `deadline_unreachable` for
                one whose answer would come after its deadline.
        """
        if self._closed:
            raise shutting_down()
        if priority is Priority.INTERACTIVE:
            self._check_interactive(needed)
            self.check_wait(deadline)
            self._enter(needed, priority)
        elif self._waiting or not self._bulk_fits(needed):
            await self._turn(needed)
        else:
            self._enter(needed, priority)
        try:
            yield
        finally:
            self._leave(needed, priority)

    def close(self) -> None:
        """Admit nothing more, and refuse the bulk calls that wait."""
        self._closed = True
        while self._waiting:
            _, turn = self._waiting.popleft()
            if not turn.done():
                turn.set_exception(shutting_down())

    async def until_empty(self) -> None:
        """Wait until nothing is held."""
        await self._empty.wait()

    def finished(self, items: int, batch_seconds: float = 0.0) -> None:
        """Measure the rate, from which `Retry-After` is computed, by images that were answered.

        They still count as held. `batch_seconds` is the run time of their batch; 0 for images that never were
        in one.
        """
        if batch_seconds:
            share = _NEWEST_SHARE if self._batch_seconds else 1.0
            self._batch_seconds += share * (batch_seconds - self._batch_seconds)
        if self.held.items >= self._full_batch:
            self.rate.add(items, perf_counter())
        else:
            self.rate.pause(perf_counter())

    def check_wait(self, deadline: Deadline | None = None) -> None:
        """Refuse an interactive call of any size that would have to wait too long.

        A bound on the queue's length is not a bound on the wait, which also depends on the rate.

        Raises:
            ServiceError: 503 `overloaded` or `deadline_unreachable`.
        """
        if self.held.items >= self._full_batch and self._wait > self._longest_wait:
            raise self._overloaded(self._wait)
        if deadline is not None:
            self._check_deadline(deadline)

    @property
    def _wait(self) -> float:
        """Seconds until the calls before a new interactive call are answered."""
        share = INTERACTIVE_SHARE if self._held[Priority.BULK].items else 1.0
        return self._held[Priority.INTERACTIVE].items / (self.rate.per_second * share)

    def _overloaded(self, seconds: float) -> ServiceError:
        return ServiceError(
            503,
            "overloaded",
            f"The service holds {self.held.items} images and answers {self.rate.per_second:.0f} a second. "
            f"Send the request again in {seconds:.1f} seconds.",
            retry_after=seconds,
        )

    def _check_interactive(self, needed: Resources) -> None:
        if needed.items > self._limit.items:
            raise ServiceError(
                413,
                "too_many_items",
                f"The request holds {needed.items} images; the service takes {self._limit.items} at once. "
                "Send fewer in one request, or raise INFOMAX_QUEUE_ITEMS.",
                limit=self._limit.items,
                setting="INFOMAX_QUEUE_ITEMS",
            )
        if needed.bytes > self._limit.bytes:
            raise ServiceError(
                413,
                "too_many_bytes",
                f"The request's images take {needed.bytes:,} bytes; the service holds at most "
                f"{self._limit.bytes:,} at once. Send fewer in one request, or raise INFOMAX_QUEUE_BYTES.",
                limit=self._limit.bytes,
                setting="INFOMAX_QUEUE_BYTES",
            )
        # The resources of the first bulk call that waits are kept, or interactive calls would starve it.
        kept = self._waiting[0][0] if self._waiting else _NOTHING
        if not (self.held + kept + needed).within(self._limit):
            raise self._overloaded(self.held.items / self.rate.per_second)

    def _check_deadline(self, deadline: Deadline) -> None:
        """Refuse a call that cannot be answered in time."""
        if self.held == _NOTHING:
            # An idle service has no estimate of its own time.
            return
        wait, remaining = self._wait, deadline.remaining
        expected = wait + self._batch_seconds
        if expected <= remaining:
            return
        # After this time the same deadline can be met; at the latest when nothing is held any more.
        seconds = min(expected - max(remaining, 0.0), wait)
        raise ServiceError(
            503,
            "deadline_unreachable",
            f"The service holds {self.held.items} images and would answer in about {1000 * expected:.0f} ms; "
            f"the request allows {1000 * deadline.seconds:.0f}. Send it again in {seconds:.1f} seconds, or "
            "allow it more time.",
            retry_after=seconds,
        )

    def _bulk_fits(self, needed: Resources) -> bool:
        if self.held == _NOTHING:
            return True
        bulk = self._held[Priority.BULK]
        own_share = bulk == _NOTHING or (bulk + needed).within(self._bulk_limit)
        return own_share and (self.held + needed).within(self._limit)

    async def _turn(self, needed: Resources) -> None:
        turn = asyncio.get_running_loop().create_future()
        entry = (needed, turn)
        self._waiting.append(entry)
        try:
            await turn
        except asyncio.CancelledError:
            if entry in self._waiting:
                self._waiting.remove(entry)
                self._admit_waiting()
            elif turn.done() and not turn.cancelled() and turn.exception() is None:
                # Admitted and cancelled in the same moment: the resources are held already.
                self._leave(needed, Priority.BULK)
            raise

    def _enter(self, needed: Resources, priority: Priority) -> None:
        if self.held.items < self._full_batch:
            self.rate.pause(perf_counter())
        before = self._all_held
        self._held[priority] += needed
        self._all_held += needed
        if before == _NOTHING and self._all_held != _NOTHING:
            self._on_busy(1)
        self._empty.clear()
        QUEUE_DEPTH.inc(needed.items)

    def _leave(self, needed: Resources, priority: Priority) -> None:
        before = self._all_held
        self._held[priority] -= needed
        self._all_held -= needed
        # Before others are admitted, which begin anew; and not for a call of no images, which began nothing.
        if before != _NOTHING and self._all_held == _NOTHING:
            self._on_busy(-1)
        self._admit_waiting()
        if self.held == _NOTHING:
            self._empty.set()
        QUEUE_DEPTH.dec(needed.items)

    def _admit_waiting(self) -> None:
        while self._waiting and self._bulk_fits(self._waiting[0][0]):
            needed, turn = self._waiting.popleft()
            if not turn.done():
                self._enter(needed, Priority.BULK)
                turn.set_result(None)


def shutting_down() -> ServiceError:
    """Make the refusal of everything that comes after the signal to stop."""
    return ServiceError(
        503, "shutting_down", "The service is stopping. Send the request again.", retry_after=1.0
    )
