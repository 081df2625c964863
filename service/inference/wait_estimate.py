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
    """Estimate by the work that is held and the measured rate at which work is done.

    Work is counted in images of the first rate, which need no decoding; decoding adds to it. All else that
    slows the machine down is in the measured rate, so the mix of images may change at any time.

    Large pictures are decoded by threads of their own. They delay each other, and no ordinary image.

    Attributes:
        rate: work on ordinary images that is done per second.
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
            full_batch: images, decoded, that at once are full work.
            first_rate: images a second, decoded.
            decoders: threads that decode ordinary images, and as many that decode large ones.
            head_start: seconds of work on large pictures that are done already.
            slowdown: seconds that a second of decoding takes.
        """
        self.rate = Rate(first_rate)
        self.batch_seconds = 0.0
        self._full_batch = full_batch
        # While a thread decodes for a microsecond, this share of an image would be inferred.
        self._images_per_microsecond = first_rate / decoders / 1e6
        self._decoders = decoders
        self._head_start = head_start
        self._slowdown = slowdown

    def is_full_work(self, held: Resources) -> bool:
        """Tell whether the work of a whole batch is held; only then the rate is measured."""
        return self._work(held.items - held.large, held.decode_microseconds) >= self._full_batch

    def begin(self, held: Resources) -> None:
        """Note that a call comes to what is held."""
        if not self.is_full_work(held):
            self.rate.pause(perf_counter())

    def finished(self, items: int, decode_microseconds: int, batch_seconds: float, held: Resources) -> None:
        """Note that ordinary images were answered, which still count as held.

        Args:
            items: how many.
            decode_microseconds: expected for them when they came.
            batch_seconds: run time of their batch; 0 where they did not come so far.
            held: all that is held, these images included.
        """
        if batch_seconds:
            share = _NEWEST_SHARE if self.batch_seconds else 1.0
            self.batch_seconds += share * (batch_seconds - self.batch_seconds)
        if self.is_full_work(held):
            self.rate.add(self._work(items, decode_microseconds), perf_counter())
        else:
            self.rate.pause(perf_counter())

    def seconds(self, held: Mapping[Priority, Resources], needed: Resources) -> float:
        """Estimate the wait of an interactive call with this needed."""
        ours = held[Priority.INTERACTIVE]
        # Streams keep their share of each batch.
        share = INTERACTIVE_SHARE if held[Priority.BULK].items else 1.0
        # What needs no decoding passes by the decoding threads.
        decoding = ours.decode_microseconds if needed.decode_microseconds else 0
        wait = self._work(ours.items - ours.large, decoding) / (self.rate.per_second * share)
        return max(wait, self.large_seconds(ours, needed))

    def large_seconds(self, held: Resources, needed: Resources) -> float:
        """Estimate how long the large pictures of a call with this needed wait for those that are held."""
        if not needed.large or not held.large:
            return 0.0
        return self._decoding(held.large_microseconds) - self._head_start() / self._decoders

    def seconds_to_empty(self, held: Mapping[Priority, Resources]) -> float:
        """Estimate when nothing of this is held any more."""
        everything = held[Priority.INTERACTIVE] + held[Priority.BULK]
        work = self._work(everything.items - everything.large, everything.decode_microseconds)
        return max(work / self.rate.per_second, self.large_seconds(everything, everything))

    def own_seconds(self, needed: Resources) -> float:
        """Estimate the time of a call itself, once it is its turn."""
        return self._decoding(max(needed.decode_microseconds, needed.large_microseconds)) + self.batch_seconds

    def _decoding(self, microseconds: int) -> float:
        """Seconds until so much is decoded by all threads of a kind."""
        return microseconds / 1e6 * self._slowdown() / self._decoders if microseconds else 0.0

    def _work(self, items: int, decode_microseconds: int) -> float:
        return items + decode_microseconds * self._images_per_microsecond
