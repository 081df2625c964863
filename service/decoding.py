"""Encoded bytes to model input, in threads that release the interpreter lock while they decode."""

import logging
from collections.abc import Callable
from time import perf_counter

from contract.errors import ImageError
from contract.images import ImageLimits, decode
from contract.preprocessing import Preprocessing
from service.crew import Crew
from service.lanes import LaneQueue
from service.metrics import DECODE_SECONDS
from service.results import Failed, ImageInfo
from service.work import Deliver, Delivery, Item

logger = logging.getLogger(__name__)

# Handing an image to a thread and on costs as much as decoding a picture of a kilobyte, so a thread
# takes several at once; but what it has decoded goes on after two milliseconds at the latest.
_CHUNK = 16
_CHUNK_SECONDS = 0.002
_LOST = Failed("inference_failed", "The server failed while it decoded this image; its log says why.")


class Decoder:
    """The decode stage: takes images from its own queue, puts good ones into the next."""

    def __init__(
        self, threads: int, rule: Preprocessing, limits: ImageLimits, decoded: LaneQueue, deliver: Deliver
    ) -> None:
        self.queue = LaneQueue("decode")
        self.crew = Crew("decode", threads, self._work)
        self._threads = threads
        self._rule = rule
        self._limits = limits
        self._decoded = decoded
        self._deliver = deliver

    def _work(self, fit: Callable[[], None]) -> None:
        fit()
        while chunk := self.queue.take(self._share):
            try:
                self._hand_on(chunk)
            except BaseException:
                # The thread is about to die; its images must not be lost with it.
                self._deliver(Delivery(chunk, [_LOST] * len(chunk)))
                raise

    def _share(self, waiting: int) -> int:
        """So many that no thread idles while another works off a chunk."""
        return max(1, min(_CHUNK, waiting // self._threads))

    def _hand_on(self, chunk: list[Item]) -> None:
        """Decode for a bounded time, hand the results on, leave the rest to whoever is free first."""
        until = perf_counter() + _CHUNK_SECONDS
        outcomes: list[Failed | None] = []
        while len(outcomes) < len(chunk) and perf_counter() < until:
            outcomes.append(self._decode(chunk[len(outcomes)]))
        self.queue.put_back(chunk[len(outcomes) :])
        pairs = list(zip(chunk, outcomes, strict=False))
        self._decoded.put(item for item, failed in pairs if failed is None)
        failures = {item: failed for item, failed in pairs if failed is not None}
        if failures:
            self._deliver(Delivery(list(failures), list(failures.values())))

    def _decode(self, item: Item) -> Failed | None:
        started = perf_counter()
        try:
            decoded = decode(item.data, self._rule, self._limits)
        except ImageError as error:
            return Failed(error.code, str(error), error.limit)
        except Exception:
            logger.exception("the decoder failed in an unknown way on an image of %d bytes", len(item.data))
            return Failed("corrupt_image", "The image cannot be decoded; the server's log says why.")
        finally:
            item.data = b""
            item.decoded_at = perf_counter()
        item.pixels = decoded.pixels
        item.info = ImageInfo(decoded.format, decoded.original_width, decoded.original_height)
        DECODE_SECONDS.labels(decoded.format).observe(item.decoded_at - started)
        return None
