"""Decoded images to answers: batches as large as what waits, run one after the other in each thread.

An idle thread takes what is there, be it one image; while it works the next batch gathers, so the batches
grow with the load. Nobody waits for images that may never come. Only where decoding and inference share the
cores and a good batch of images is at hand does a decoded one wait until the next ones are decoded too: those
would have had to wait for its batch of one.
"""

import logging
from collections.abc import Callable, Sequence
from time import perf_counter

import numpy as np

from service.inference.calls import Call, Deliver, Delivery, Item
from service.inference.model import Criticised, Encoded, Model
from service.inference.priority_queue import PriorityQueue
from service.inference.results import Embedded, Failed, Outcome, Want
from service.inference.threads import ThreadPool
from service.metrics import BATCH_SIZE, BATCH_WAIT, INFERENCE_SECONDS, PADDING_ITEMS, QUEUE_WAIT

logger = logging.getLogger(__name__)

_FAILED = Failed("inference_failed", "The model failed on this image; the server's log says why.")
_NOT_FINITE = Failed("inference_failed", "The model's answer to this image is not finite.")
# On a CPU an empty place costs as much as an image, on a GPU nothing.
_CPU_PADDING = 0.25
_GPU_PADDING = 1.0
_MOST_DEATHS = 2
# Smaller batches cost much more for each image: alone it takes 1.6 times as long as among eight, these only
# 1.2 times as long as among 64 (docs/decisions/019).
_COMPANY = 8
# Some images take seconds to decode; those that are decoded do not wait for them.
_LONGEST_HOLD_SECONDS = 0.1


def bucket_sizes(largest: int) -> tuple[int, ...]:
    """The sizes that batches are padded to: powers of two up to `largest`, and `largest`.

    Few sizes, all of them warmed before use: ONNX Runtime plans memory and GPU kernels for each.
    """
    powers = [2**power for power in range(largest.bit_length()) if 2**power < largest]
    return (*powers, largest)


def bucket_for(images: int, buckets: Sequence[int]) -> int:
    """The smallest bucket that holds so many images."""
    return next(bucket for bucket in buckets if bucket >= images)


def batch_size(waiting: int, buckets: Sequence[int], most_padding: float) -> int:
    """How many of the waiting images to take, so that at most that share of the padded batch is empty."""
    if waiting >= buckets[-1]:
        return buckets[-1]
    bucket = bucket_for(waiting, buckets)
    if (bucket - waiting) / bucket <= most_padding:
        return waiting
    return max(smaller for smaller in buckets if smaller <= waiting)


class Batcher:
    """The inference stage: takes images from its queue, delivers their answers.

    Attributes:
        crew: the threads.
        buckets: sizes that batches are padded to.
    """

    def __init__(
        self,
        model: Model,
        runs: int,
        largest: int,
        queue: PriorityQueue,
        decode: Callable[[list[Item]], list[Item]],
        coming: Callable[[], int],
        deliver: Deliver,
    ) -> None:
        """Make the stage; it begins to work when its crew is started.

        Args:
            model: runs batches.
            runs: threads, each of which runs one at a time.
            largest: most images of a batch.
            queue: of images that are decoded, or that `decode` takes.
            decode: makes pixels of what came without, and gives back what it has made them of.
            coming: how many images are about to be decoded, by the cores that this stage runs on.
            deliver: takes the outcomes.
        """
        self.threads = ThreadPool("inference", runs, self._work)
        self.buckets = bucket_sizes(largest)
        self._company = min(_COMPANY, largest)
        self._queue = queue
        self._decode = decode
        self._coming = coming
        self._model = model
        self._most_padding = _GPU_PADDING if model.report.on_gpu else _CPU_PADDING
        self._deliver = deliver

    def _work(self, fit: Callable[[], None]) -> None:
        # A thread that replaces a dead one proves first that the model still answers, and rightly.
        self._model.self_test()
        buffers = _Buffers(self._model, self.buckets)
        fit()
        while items := self._queue.take(self._choose, self._hold):
            self._run_all(items, buffers)

    def _hold(self, waiting: int, seconds: float) -> bool:
        """Whether the company that is worth waiting for is at hand."""
        enough = self._company
        return waiting < enough <= waiting + self._coming() and seconds < _LONGEST_HOLD_SECONDS

    def _choose(self, waiting: int) -> int:
        return batch_size(waiting, self.buckets, self._most_padding)

    def _run_all(self, items: list[Item], buffers: "_Buffers") -> None:
        now = perf_counter()
        for item in items:
            item.taken_at = now
        # Those that were in a batch whose thread died go alone.
        groups = [[item] for item in items if item.deaths]
        if unsuspected := [item for item in items if not item.deaths]:
            groups.append(unsuspected)
        while groups:
            group = groups.pop()
            try:
                if ready := self._decode(group):
                    groups += self._run_or_split(ready, buffers)
            except BaseException:
                self._give_back(group, groups)
                raise

    def _run_or_split(self, group: list[Item], buffers: "_Buffers") -> list[list[Item]]:
        """Run a batch; where it fails return its halves to run instead, down to the one image to blame."""
        started = perf_counter()
        try:
            outcomes = buffers.run(group)
        except Exception:
            if len(group) > 1:
                middle = len(group) // 2
                return [group[middle:], group[:middle]]
            logger.exception("inference failed on one image")
            # The image may be to blame, or the model; then this raises and ends the thread.
            self._model.self_test()
            outcomes = [_FAILED]
        seconds = perf_counter() - started
        self._deliver(Delivery(group, outcomes, seconds))
        self._observe(group, seconds)
        return []

    def _observe(self, group: list[Item], seconds: float) -> None:
        bucket = bucket_for(len(group), self.buckets)
        INFERENCE_SECONDS.labels(self._model.report.active, bucket).observe(seconds)
        BATCH_SIZE.observe(len(group))
        PADDING_ITEMS.inc(bucket - len(group))
        waits: dict[Call, float] = {}
        for item in group:
            waits[item.call] = max(waits.get(item.call, 0.0), item.taken_at - item.queued_at)
        BATCH_WAIT.observe(max(waits.values()))
        # Not for each image: those of a stream come and wait together, and observing takes time.
        for wait in waits.values():
            QUEUE_WAIT.observe(wait)

    def _give_back(self, fatal: list[Item], rest: list[list[Item]]) -> None:
        """Leave a dying thread's images to its replacement, but none that killed one all alone."""
        for item in fatal:
            item.deaths += 1
        if len(fatal) == 1 and fatal[0].deaths >= _MOST_DEATHS:
            self._deliver(Delivery(fatal, [_FAILED]))
            fatal = []
        self._queue.put_back([*fatal, *(item for group in rest for item in group)])


class _Buffers:
    """One thread's input arrays, made once for the largest bucket; smaller ones are their beginnings."""

    def __init__(self, model: Model, buckets: Sequence[int]) -> None:
        rule, grid, shapes = model.card.preprocessing, model.card.patch_grid, model.card.shapes
        self._model = model
        self._buckets = buckets
        self._images = np.zeros((buckets[-1], rule.height, rule.width, 3), np.uint8)
        self._features = np.zeros((buckets[-1], shapes.channels, grid.rows, grid.columns), np.float32)
        self._code = np.zeros((buckets[-1], shapes.code), np.float32)

    def run(self, group: list[Item]) -> list[Outcome]:
        """Encoder for all, critic for those who want it."""
        images = self._images[: bucket_for(len(group), self._buckets)]
        for place, item in enumerate(group):
            images[place] = item.pixels
        # Not what an earlier batch left there: no image may have to do with another's answer.
        images[len(group) :] = 0
        deep = [place for place, item in enumerate(group) if item.want > Want.EMBEDDING]
        encoded = self._model.encode(images, features=bool(deep))
        outcomes: list[Outcome] = [
            Embedded(item.info, encoded.embedding[place], encoded.code[place])
            for place, item in enumerate(group)
        ]
        if deep:
            projections = any(item.want is Want.PROJECTIONS for item in group)
            criticised = self._criticise(encoded, deep, projections)
            for row, place in enumerate(deep):
                outcomes[place] = _deepened(group[place], encoded, place, criticised, row)
        finite: list[bool] = np.isfinite(encoded.embedding[: len(group)].sum(axis=1)).tolist()
        return [outcome if good else _NOT_FINITE for outcome, good in zip(outcomes, finite, strict=True)]

    def _criticise(self, encoded: Encoded, places: list[int], projections: bool) -> Criticised:
        bucket = bucket_for(len(places), self._buckets)
        if places == list(range(len(places))) and bucket == len(encoded.code):
            return self._model.criticise(encoded.features, encoded.code, projections=projections)
        features, code = self._features[:bucket], self._code[:bucket]
        features[: len(places)], code[: len(places)] = encoded.features[places], encoded.code[places]
        features[len(places) :], code[len(places) :] = 0, 0
        return self._model.criticise(features, code, projections=projections)


def _deepened(item: Item, encoded: Encoded, place: int, criticised: Criticised, row: int) -> Embedded:
    return Embedded(
        item.info,
        encoded.embedding[place],
        encoded.code[place],
        mi_map=criticised.mi_map[row],
        projections=criticised.projections[row] if item.want is Want.PROJECTIONS else None,
    )
