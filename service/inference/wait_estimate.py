"""Time until an interactive call that comes now would be worked on."""

from collections.abc import Callable, Mapping
from time import perf_counter

from service.inference.priority_queue import INTERACTIVE_SHARE
from service.inference.rate import Rate
from service.inference.resources import Resources
from service.inference.results import Priority

# Weight of the latest batch in what a batch takes.
_NEWEST_SHARE = 0.1


class WaitEstimate:
    """Estimate by what is held: images at the measured rate, and decoding at the measured costs.

    Large pictures are decoded by threads of their own. They delay each other, and no ordinary image.

    Attributes:
        rate: ordinary images that are answered per second.
        batch_seconds: run time of a batch.
    """

    def __init__(
        self,
        full_batch: int,
        first_rate: float,
        decoders: int = 1,
        head_start: Callable[[], float] = lambda: 0.0,
        slowdown: Callable[[], float] = lambda: 1.0,
    ) -> None:
        """Believe the first rate until more is measured.

        Args:
            full_batch: images that at once are full work.
            first_rate: images a second.
            decoders: threads that decode ordinary images, and as many that decode large ones.
            head_start: seconds of work on large pictures that are done already.
            slowdown: seconds that a second of decoding takes.
        """
        self.rate = Rate(first_rate)
        self.batch_seconds = 0.0
        self._full_batch = full_batch
        self._decoders = decoders
        self._head_start = head_start
        self._slowdown = slowdown

    def is_full_work(self, held: Resources) -> bool:
        """Tell whether a whole batch of ordinary images is held; only then the rate is measured."""
        return held.items - held.large >= self._full_batch

    def begin(self, held: Resources) -> None:
        """Note that a call comes to what is held."""
        if not self.is_full_work(held):
            self.rate.pause(perf_counter())

    def finished(self, items: int, batch_seconds: float, held: Resources) -> None:
        """Note that ordinary images were answered, which still count as held.

        `batch_seconds` is the run time of their batch; 0 where they did not come so far.
        """
        if batch_seconds:
            share = _NEWEST_SHARE if self.batch_seconds else 1.0
            self.batch_seconds += share * (batch_seconds - self.batch_seconds)
        if self.is_full_work(held):
            self.rate.add(items, perf_counter())
        else:
            self.rate.pause(perf_counter())

    def seconds(self, held: Mapping[Priority, Resources], needed: Resources) -> float:
        """Estimate the wait of an interactive call with this needed."""
        ours = held[Priority.INTERACTIVE]
        # Streams keep their share of each batch.
        share = INTERACTIVE_SHARE if held[Priority.BULK].items else 1.0
        wait = (ours.items - ours.large) / (self.rate.per_second * share)
        return max(wait, self.decode_seconds(ours, needed))

    def decode_seconds(self, held: Resources, needed: Resources) -> float:
        """Estimate how long decoding keeps an interactive call with this needed waiting."""
        wait = self._decoding(held.decode_microseconds) if needed.decode_microseconds else 0.0
        if needed.large and held.large:
            left = self._decoding(held.large_microseconds) - self._head_start() / self._decoders
            wait = max(wait, left)
        return wait

    def seconds_to_empty(self, held: Mapping[Priority, Resources]) -> float:
        """Estimate when nothing of this is held any more."""
        everything = held[Priority.INTERACTIVE] + held[Priority.BULK]
        answering = (everything.items - everything.large) / self.rate.per_second
        return max(answering, self.decode_seconds(everything, everything))

    def own_seconds(self, needed: Resources) -> float:
        """Estimate the time of a call itself, once it is its turn."""
        return self._decoding(max(needed.decode_microseconds, needed.large_microseconds)) + self.batch_seconds

    def _decoding(self, microseconds: int) -> float:
        """Seconds until so much is decoded by all threads of a kind."""
        return microseconds / 1e6 * self._slowdown() / self._decoders if microseconds else 0.0
