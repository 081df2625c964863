"""Decode stage: encoded bytes to model input, in threads that decode without the interpreter lock."""

import logging
from collections.abc import Callable, Iterable
from functools import cache
from threading import get_ident
from time import perf_counter, thread_time

from contract.errors import ImageError
from contract.image_formats import format_of
from contract.image_limits import ImageLimits
from contract.images import decode
from contract.preprocessing import Preprocessing
from service.inference.calls import Deliver, Delivery, Item
from service.inference.decode_cost import DecodeCosts
from service.inference.histograms import observe_all
from service.inference.priority_queue import PriorityQueue
from service.inference.results import Failed, ImageInfo, Priority
from service.inference.threads import ThreadPool
from service.metrics import DECODE_ERRORS, DECODE_SECONDS

logger = logging.getLogger(__name__)

_decode_seconds = cache(DECODE_SECONDS.labels)

# To hand an image to a thread and on costs as much as to decode one of a kilobyte, so a thread takes several
# at once. Decoded images go on after two milliseconds at the latest.
_CHUNK = 16
_CHUNK_SECONDS = 0.002
_LOST = Failed("inference_failed", "The server failed while it decoded this image. Its log says why.")


class Decoder:
    """Decode stage: takes images from its queue, and puts the decoded ones into the next queue."""

    def __init__(
        self,
        threads: int,
        rule: Preprocessing,
        limits: ImageLimits,
        costs: DecodeCosts,
        queue: PriorityQueue,
        decoded: PriorityQueue,
        deliver: Deliver,
    ) -> None:
        """Make the stage; it begins when its threads are started.

        Args:
            threads: number of threads.
            rule: preprocessing rule of the model.
            limits: limits of an image.
            costs: estimates, which learn from every image.
            queue: queue of encoded images.
            decoded: queue of the next stage.
            deliver: takes the outcomes of images that cannot be decoded.
        """
        self._queue = queue
        self.threads = ThreadPool("decode", threads, self._run)
        self._threads = threads
        self._rule = rule
        self._limits = limits
        self._costs = costs
        self._decoded = decoded
        self._deliver = deliver
        # By thread, which alone writes it: the images that it has taken and not handed on, and the one it
        # decodes, with the time of its begin.
        self._in_hand: dict[int, int] = {}
        self._current: dict[int, tuple[Item, float]] = {}

    def coming(self) -> int:
        """Count the images that are about to be decoded."""
        return len(self._queue) + sum(list(self._in_hand.values()))

    def head_start(self) -> float:
        """Seconds by which interactive images will be decoded sooner than what is held says.

        Part of their work is done. What is being done for streams comes before them, whatever their priority.
        """
        now, slowdown = perf_counter(), self._costs.slowdown
        done = 0.0
        for item, begun in list(self._current.values()):
            expected = item.cost.microseconds / 1e6 * slowdown
            spent = min(expected, now - begun)
            done += spent if item.priority is Priority.INTERACTIVE else spent - expected
        return done

    def _run(self, on_ready: Callable[[], None]) -> None:
        on_ready()
        while chunk := self._queue.take(self._share):
            self._hand_on(chunk)

    def _share(self, waiting: int) -> int:
        """Choose how many images to take, so that no thread is idle while another has a chunk."""
        return max(1, min(_CHUNK, waiting // self._threads))

    def _hand_on(self, chunk: list[Item]) -> None:
        try:
            outcomes = self._decode_for_a_while(chunk)
            self._queue.put_back(chunk[len(outcomes) :])
            pairs = list(zip(chunk, outcomes, strict=False))
            self._decoded.put(item for item, failed in pairs if failed is None)
            failures = {item: failed for item, failed in pairs if failed is not None}
            if failures:
                self._deliver(Delivery(list(failures), list(failures.values())))
        except BaseException:
            # The thread is about to die. Its images must not be lost.
            self._deliver(Delivery(chunk, [_LOST] * len(chunk)))
            raise

    def _decode_for_a_while(self, chunk: list[Item]) -> list[Failed | None]:
        """Decode for a bounded time; the next free thread takes the images that are left."""
        until = perf_counter() + _CHUNK_SECONDS
        outcomes: list[Failed | None] = []
        thread = get_ident()
        self._in_hand[thread] = len(chunk)
        try:
            while len(outcomes) < len(chunk) and perf_counter() < until:
                item = chunk[len(outcomes)]
                begun, worked = perf_counter(), thread_time()
                self._current[thread] = item, begun
                failed = decode_item(item, self._rule, self._limits)
                outcomes.append(failed)
                item.queued_at = perf_counter()
                if failed is None:
                    _decode_seconds(item.info.format).observe(item.queued_at - begun)
                item.decode_seconds = item.queued_at - item.call.started
                # Windows take longer, and say nothing about images that are decoded without some.
                if not item.displacements:
                    self._costs.learn(
                        item.cost, thread_time() - worked, item.queued_at - begun, complete=failed is None
                    )
        finally:
            self._current.pop(thread, None)
            del self._in_hand[thread]
        return outcomes


class SmallDecoder:
    """Decoder of small images, in the thread of their batch."""

    def __init__(self, rule: Preprocessing, limits: ImageLimits, deliver: Deliver) -> None:
        self._rule = rule
        self._limits = limits
        self._deliver = deliver

    def decode(self, items: Iterable[Item]) -> list[Item]:
        """Decode what is not decoded yet, and return the images that have pixels; the others have failed."""
        ready: list[Item] = []
        seconds: dict[str, list[float]] = {}
        for item in items:
            if len(item.pixels):
                ready.append(item)
            elif self._decode(item):
                ready.append(item)
                seconds.setdefault(item.info.format, []).append(item.decode_seconds)
        for image_format, durations in seconds.items():
            observe_all(_decode_seconds(image_format), durations)
        return ready

    def _decode(self, item: Item) -> bool:
        started = perf_counter()
        failed = decode_item(item, self._rule, self._limits)
        item.decode_seconds = perf_counter() - started
        if failed is not None:
            self._deliver(Delivery([item], [failed]))
        return failed is None


def decode_item(item: Item, rule: Preprocessing, limits: ImageLimits) -> Failed | None:
    """Replace an image's bytes by its pixels, or return why that fails."""
    failed = None
    try:
        decoded = decode(item.data, rule, limits, item.displacements)
    except ImageError as error:
        failed = Failed(error.code, str(error), error.limit)
    except Exception:
        logger.exception("the decoder failed unexpectedly on an image of %d bytes", len(item.data))
        failed = Failed("corrupt_image", "The image cannot be decoded. The server's log says why.")
    if failed is not None:
        DECODE_ERRORS.labels(format_of(item.data), failed.code).inc()
    # Kept where the thread dies: another one may have to try again.
    item.data = b""
    if failed is not None:
        return failed
    item.windows = decoded.windows
    item.pixels = decoded.pixels
    item.info = ImageInfo(decoded.format, decoded.original_width, decoded.original_height)
    return None
