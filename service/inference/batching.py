"""Inference stage: batches as large as the queue, run one after the other in each thread.

An idle thread takes what is there, be it one image. Meanwhile the next batch gathers, so batches grow with
the load, and no image waits for others that may never come. There is one exception. Where decoding and
inference share the cores and an efficient batch is about to be decoded, a decoded image waits for it: the
others would have to wait for its batch of one.
"""

import logging
from collections.abc import Callable, Sequence
from dataclasses import replace
from time import perf_counter

import numpy as np
from numpy.typing import NDArray

from contract.occlusion import covered
from service.inference.batch_sizes import EFFICIENT_BATCH, bucket_for, bucket_sizes, largest_batch
from service.inference.calls import Call, Deliver, Delivery, Item
from service.inference.drift import DriftMetrics
from service.inference.histograms import observe_all
from service.inference.model import Criticised, Encoded, Model
from service.inference.priority_queue import PriorityQueue
from service.inference.results import Embedded, Failed, Outcome, Want
from service.inference.threads import ThreadPool
from service.metrics import BATCH_SIZE, BATCH_WAIT, INFERENCE_SECONDS, PADDING_ITEMS, QUEUE_WAIT

logger = logging.getLogger(__name__)

_FAILED = Failed("inference_failed", "The model failed on this image. The server's log says why.")
_NOT_FINITE = Failed("inference_failed", "The model's answer to this image is not finite.")
_MOST_DEATHS = 2
_NO_EMBEDDING = np.empty(0, np.float32)
# Some images take seconds to decode. The decoded ones do not wait for them.
_LONGEST_HOLD_SECONDS = 0.1


class Batcher:
    """Inference stage: takes images from its queue, and delivers their answers.

    Attributes:
        threads: the threads.
        buckets: sizes that are warmed up, and that batches are padded to on a GPU.
    """

    def __init__(
        self,
        model: Model,
        runs: int,
        most: int,
        queue: PriorityQueue,
        decode: Callable[[list[Item]], list[Item]],
        coming: Callable[[], int],
        deliver: Deliver,
    ) -> None:
        """Make the stage; it begins when its threads are started.

        Args:
            model: runs the batches.
            runs: number of threads; each runs one batch at a time.
            most: the most images of a batch; it may take fewer of a costly model.
            queue: queue of decoded images, and of encoded ones that `decode` takes.
            decode: decodes those items that have no pixels, and returns the items that have some.
            coming: counts the images that are about to be decoded by the cores of this stage.
            deliver: takes the outcomes.
        """
        self.threads = ThreadPool("inference", runs, self._run)
        largest = largest_batch(most, model.card.encoder_macs, on_gpu=model.report.on_gpu)
        self.buckets = bucket_sizes(largest)
        self._efficient_batch = min(EFFICIENT_BATCH, largest)
        self._queue = queue
        self._decode = decode
        self._coming = coming
        self._model = model
        self._deliver = deliver

    def _run(self, on_ready: Callable[[], None]) -> None:
        # A thread that replaces a dead one first proves that the model still answers correctly.
        self._model.self_test()
        buffers = _Buffers(self._model, self.buckets)
        on_ready()
        while items := self._queue.take(self._choose, self._hold):
            self._run_all(items, buffers)

    def _hold(self, waiting: int, seconds: float) -> bool:
        """Whether the images that make a batch efficient are about to be decoded."""
        enough = self._efficient_batch
        return waiting < enough <= waiting + self._coming() and seconds < _LONGEST_HOLD_SECONDS

    def _choose(self, waiting: int) -> int:
        return min(waiting, self.buckets[-1])

    def _run_all(self, items: list[Item], buffers: "_Buffers") -> None:
        now = perf_counter()
        for item in items:
            item.taken_at = now
        # Images from a batch whose thread died go alone.
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
        """Run a batch; where it fails, return its halves to run instead, down to the image at fault."""
        started = perf_counter()
        try:
            outcomes = buffers.run(group)
        except Exception:
            if len(group) > 1:
                middle = len(group) // 2
                return [group[middle:], group[:middle]]
            logger.exception("inference failed on one image")
            # Where the model is at fault and not the image, this raises and ends the thread.
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
        if self._model.report.on_gpu:
            PADDING_ITEMS.inc(bucket - len(group))
        waits: dict[Call, float] = {}
        for item in group:
            waits[item.call] = max(waits.get(item.call, 0.0), item.taken_at - item.queued_at)
        BATCH_WAIT.observe(max(waits.values()))
        # Once a call and not for each image: those of a stream wait together, and an observation takes time.
        observe_all(QUEUE_WAIT, waits.values())

    def _give_back(self, fatal: list[Item], rest: list[list[Item]]) -> None:
        """Return a dying thread's images to the queue, but none that killed a thread alone."""
        for item in fatal:
            item.deaths += 1
        if len(fatal) == 1 and fatal[0].deaths >= _MOST_DEATHS:
            self._deliver(Delivery(fatal, [_FAILED]))
            fatal = []
        self._queue.put_back([*fatal, *(item for group in rest for item in group)])


class _Buffers:
    """Input arrays of one thread, made once for the largest batch; smaller batches are their first rows."""

    def __init__(self, model: Model, buckets: Sequence[int]) -> None:
        rule, grid, shapes = model.card.preprocessing, model.card.patch_grid, model.card.shapes
        self._model = model
        self._buckets = buckets
        self._drift = DriftMetrics(model.card.id)
        self._images = np.zeros((buckets[-1], rule.height, rule.width, 3), np.uint8)
        self._features = np.zeros((buckets[-1], shapes.channels, grid.rows, grid.columns), np.float32)
        self._code = np.zeros((buckets[-1], shapes.code), np.float32)

    def run(self, group: list[Item]) -> list[Outcome]:
        """Answer images, and covered copies of images that were encoded before."""
        places: dict[bool, list[int]] = {False: [], True: []}
        for place, item in enumerate(group):
            places[item.copy is not None].append(place)
        outcomes: list[Outcome] = [_FAILED] * len(group)
        for run, chosen in ((self._run_images, places[False]), (self._run_copies, places[True])):
            if chosen:
                for place, outcome in zip(chosen, run([group[place] for place in chosen]), strict=True):
                    outcomes[place] = outcome
        return outcomes

    def _run_images(self, group: list[Item]) -> list[Outcome]:
        """Run the encoder for all images, and the critic for those that want it."""
        images = self._images[: self._rows(len(group))]
        for place, item in enumerate(group):
            images[place] = item.pixels
        # Rows of an earlier batch are cleared: an answer must not depend on other images.
        images[len(group) :] = 0
        with_critic = [place for place, item in enumerate(group) if item.want.needs_critic]
        with_features = any(item.want > Want.EMBEDDING for item in group)
        encoded = self._model.encode(images, features=with_features)
        embedded = [
            Embedded(
                item.info,
                encoded.embedding[place],
                encoded.code[place],
                # A copy, because the rest of the batch is not needed any more.
                features=encoded.features[place].copy() if item.want.needs_contribution else None,
            )
            for place, item in enumerate(group)
        ]
        if with_critic:
            projections = any(item.want.needs_projections for item in group)
            criticised = self._criticise(encoded, with_critic, projections)
            for row, place in enumerate(with_critic):
                embedded[place] = _with_map(group[place], embedded[place], criticised, row)
        finite = _finite_rows(encoded.embedding, encoded.code)[: len(group)]
        if with_critic:
            maps = [criticised.mi_map]
            maps += [] if criticised.standard_error is None else [criticised.standard_error]
            finite[with_critic] &= _finite_rows(*maps)[: len(with_critic)]
        distances = encoded.training_distance[: len(group)]
        self._drift.observe(
            distances[finite[: len(distances)]],
            criticised.mi_map[: len(with_critic)][finite[with_critic]] if with_critic else None,
        )
        return [
            outcome if good and _finite_projections(outcome) else _NOT_FINITE
            for outcome, good in zip(embedded, finite.tolist(), strict=True)
        ]

    def _rows(self, images: int) -> int:
        """Count the rows of a batch of so many images."""
        return bucket_for(images, self._buckets) if self._model.report.on_gpu else images

    def _run_copies(self, group: list[Item]) -> list[Outcome]:
        """Run the part of the encoder behind its features; the answer to a copy is its code alone."""
        features = self._features[: self._rows(len(group))]
        copies = [item.copy for item in group if item.copy is not None]
        for place, copy in enumerate(copies):
            features[place] = covered(copy.features, copy.keep)
        features[len(copies) :] = 0
        codes = self._model.encode_features(features)[: len(copies)]
        return [
            Embedded(item.info, _NO_EMBEDDING, code) if good else _NOT_FINITE
            for item, code, good in zip(group, codes, _finite_rows(codes).tolist(), strict=True)
        ]

    def _criticise(self, encoded: Encoded, places: list[int], projections: bool) -> Criticised:
        rows = self._rows(len(places))
        if places == list(range(len(places))) and rows == len(encoded.code):
            return self._model.criticise(encoded.features, encoded.code, projections=projections)
        features, code = self._features[:rows], self._code[:rows]
        features[: len(places)], code[: len(places)] = encoded.features[places], encoded.code[places]
        features[len(places) :], code[len(places) :] = 0, 0
        return self._model.criticise(features, code, projections=projections)


def _finite_rows(*arrays: NDArray[np.float32]) -> NDArray[np.bool_]:
    """Tell for each row of arrays [N, …] whether all of its numbers are finite."""
    rows = [np.isfinite(array.reshape(len(array), -1)).all(axis=1) for array in arrays]
    finite: NDArray[np.bool_] = np.logical_and.reduce(rows)
    return finite


def _finite_projections(outcome: Outcome) -> bool:
    if not isinstance(outcome, Embedded) or outcome.projections is None:
        return True
    one = outcome.projections
    return all(np.isfinite(part).all() for part in (one.local, one.global_, one.local_log_normaliser))


def _with_map(item: Item, image: Embedded, criticised: Criticised, row: int) -> Embedded:
    return replace(
        image,
        mi_map=criticised.mi_map[row],
        standard_error=None if criticised.standard_error is None else criticised.standard_error[row],
        projections=criticised.projections[row] if item.want.needs_projections else None,
    )
