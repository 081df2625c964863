"""Admission: bounds the images and bytes that a process holds, and the wait for them."""

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from service.errors import ServiceError, shown_seconds
from service.inference.deadline import Deadline
from service.inference.resources import Resources
from service.inference.results import Priority
from service.inference.wait_estimate import WaitEstimate
from service.metrics import QUEUE_DEPTH

# Bulk calls may fill half of the limit, so that there is room when an interactive call comes.
BULK_SHARE = 0.5
# Waits that differ by less are told as one.
_WAIT_STEP = 1 / 32
_NOTHING = Resources(0, 0)
# What a call brings before its body is read: nothing that has to be decoded, as far as is known.
_UNKNOWN = Resources(1, 0)


class Admission:
    """Admission of calls. All methods belong to one event loop."""

    def __init__(
        self,
        limit: Resources,
        estimate: WaitEstimate,
        longest_wait: float,
        on_busy: Callable[[int], None] = lambda _: None,
    ) -> None:
        """Hold nothing yet.

        Args:
            limit: the most that may be held.
            estimate: of the wait.
            longest_wait: seconds that an interactive call may have to wait for the calls before it.
            on_busy: called with 1 when the first call is held, with -1 when the last one is gone.
        """
        self._estimate = estimate
        self._longest_wait = longest_wait
        self._limit = limit
        self._bulk_limit = Resources(max(1, int(limit.items * BULK_SHARE)), int(limit.bytes * BULK_SHARE))
        self._held = dict.fromkeys(Priority, _NOTHING)
        self._all_held = _NOTHING
        self._waiting: deque[tuple[Resources, asyncio.Future[None]]] = deque()
        self._empty = asyncio.Event()
        self._empty.set()
        self._closed = False
        self._steps = 0
        self._refusal: ServiceError
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
            self._check_room(needed)
            if (reason := self.refusal(deadline, needed)) is not None:
                raise reason.fresh()
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

    def finished(self, items: int, batch_seconds: float = 0.0, decode_microseconds: int = 0) -> None:
        """Note that images were answered, all but the large ones counted; they still count as held."""
        self._estimate.finished(items, decode_microseconds, batch_seconds, self._all_held)

    def refusal(self, deadline: Deadline | None = None, needed: Resources = _UNKNOWN) -> ServiceError | None:
        """Return why an interactive call would have to wait too long; None if it would not.

        A bound on the queue's length is not a bound on the wait, which also depends on the rate.

        Args:
            deadline: of the call.
            needed: what it brings, as far as it is known.
        """
        if self._all_held == _NOTHING:
            # What an idle service takes is known by trying alone.
            return None
        estimate, held = self._estimate, self._held
        wait = estimate.seconds(held, needed)
        if wait > self._longest_wait:
            # A rate that was low once is never found to have risen, unless less than full work is admitted.
            large = estimate.large_seconds(held[Priority.INTERACTIVE], needed)
            if large > self._longest_wait or estimate.is_full_work(self._all_held):
                return self._overloaded(wait)
        return None if deadline is None else self._unreachable(deadline, wait, needed)

    def _overloaded(self, seconds: float) -> ServiceError:
        """Return a refusal; one for all that would wait as long, since there are many at a time."""
        steps = max(1, round(seconds / _WAIT_STEP))
        if self._steps != steps:
            self._steps = steps
            seconds = steps * _WAIT_STEP
            self._refusal = ServiceError(
                503,
                "overloaded",
                f"The requests before this one take {shown_seconds(seconds)} seconds, and "
                f"{self._longest_wait:g} are allowed. Send it again in {shown_seconds(seconds)} seconds.",
                setting="INFOMAX_QUEUE_SECONDS",
                retry_after=seconds,
            )
        return self._refusal

    def _check_room(self, needed: Resources) -> None:
        """Refuse an interactive call for which there is no room.

        Raises:
            ServiceError: 413 `too_many_items` or `too_many_bytes`, 503 `overloaded`.
        """
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
        if not (self._all_held + kept + needed).within(self._limit):
            seconds = self._estimate.seconds_to_empty(self._held)
            raise ServiceError(
                503,
                "overloaded",
                f"The service holds {self._all_held.items} images and has no room for this request. "
                f"Send it again in {shown_seconds(seconds)} seconds.",
                retry_after=seconds,
            )

    def _unreachable(self, deadline: Deadline, wait: float, needed: Resources) -> ServiceError | None:
        """Return the refusal of what cannot be answered in time, before work is wasted on it."""
        remaining = deadline.remaining
        expected = wait + self._estimate.own_seconds(needed)
        if expected <= remaining:
            return None
        # After this time the same deadline can be met; at the latest when nothing is held any more.
        seconds = min(expected - max(remaining, 0.0), wait)
        return ServiceError(
            503,
            "deadline_unreachable",
            f"The answer would take about {1000 * expected:.0f} ms, and the request allows "
            f"{1000 * deadline.seconds:.0f}. Send it again in {shown_seconds(seconds)} seconds, or "
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
        self._estimate.begin(self._all_held)
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
    """Refuse what comes after the stop signal."""
    return ServiceError(
        503, "shutting_down", "The service is stopping. Send the request again.", retry_after=1.0
    )
