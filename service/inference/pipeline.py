"""Pipeline from encoded images to embeddings and MI maps: the one path that every route takes."""

import asyncio
import contextlib
from collections.abc import Sequence
from functools import partial
from time import perf_counter

import numpy as np
from numpy.typing import NDArray

from service.errors import ServiceError, not_ready
from service.inference.admission import Admission, shutting_down
from service.inference.batching import Batcher
from service.inference.call_spans import add_spans
from service.inference.calls import Call, Delivery, Item, items_of, settle
from service.inference.calls_in_flight import CallsInFlight
from service.inference.contributions import Contributions
from service.inference.deadline import Deadline
from service.inference.decode_cost import DecodeCost, DecodeCosts, SizeClass
from service.inference.decoding import Decoder, SmallDecoder
from service.inference.fine_maps import FineMaps
from service.inference.further_runs import FurtherRuns, run_further
from service.inference.model import Model, open_model
from service.inference.peers import NO_PEERS, PeerRequest, Peers
from service.inference.priority_queue import PriorityQueue
from service.inference.quota import Quota
from service.inference.readiness import Readiness
from service.inference.resources import Resources, resources_of
from service.inference.results import Outcome, Priority, Stages, Want
from service.inference.threads import ThreadPool
from service.inference.wait_estimate import WaitEstimate
from service.inference.warm_up import warm_up
from service.settings import Settings

_WATCH_SECONDS = 1.0
_JOIN_SECONDS = 5.0
# Encoded bytes of a chunk. A smaller one is answered here in less time than it takes to send it to a peer.
_FEWEST_PEER_BYTES = 16 * 2**10


class Pipeline:
    """Stages of one model in one process: admission, decoding, batches, ONNX Runtime.

    All public methods belong to one event loop.

    Attributes:
        card: the model's card.
        report: what runs the model.
        images_per_second: speed of inference on the largest batch, measured at the start.
        key: equal for the pipelines of all workers that give the same answers.
        contributions: contribution maps of the model.
    """

    def __init__(self, settings: Settings, model: Model | None = None, peers: Peers = NO_PEERS) -> None:
        """Open the model that the settings name, unless one is given; `peers` answer chunks of streams.

        Raises:
            ArtefactError: the model folder is missing or breaks a rule of the contract.
            SettingsError: the demanded device does not work.
        """
        self._model = model or open_model(settings)
        self.card = self._model.card
        self.report = self._model.report
        self.images_per_second = 0.0
        digests = " ".join(digest.sha256 for digest in self.card.digests)
        self.key = f"{self.card.id} {self.report.precision.active} {digests}"
        rule, limits, on_gpu = self.card.preprocessing, settings.image_limits, self.report.on_gpu
        self._waiting = PriorityQueue("inference")
        # The thread of a GPU's batch does not decode: the GPU would wait.
        self._costs = DecodeCosts(limits, small_in_batch=not on_gpu)
        small = SmallDecoder(rule, limits, self._deliver)
        self._decoders = settings.decoder_count(on_gpu=on_gpu)
        self._encoded = {
            size_class: PriorityQueue("decode") for size_class in (SizeClass.ORDINARY, SizeClass.LARGE)
        }
        self._decoder, self._large_decoder = (
            Decoder(self._decoders, rule, limits, self._costs, queue, self._waiting, self._deliver)
            for queue in self._encoded.values()
        )
        # On a GPU, inference does not compete with decoding for the cores.
        coming = (lambda: 0) if on_gpu else self._decoder.coming
        self._batcher = Batcher(
            self._model, settings.runs, settings.max_batch, self._waiting, small.decode, coming, self._deliver
        )
        self._limit = Resources(settings.queue_items, settings.queue_bytes)
        self._longest_wait = settings.queue_seconds
        self._admission: Admission | None = None
        self._calls = CallsInFlight()
        self.contributions = Contributions(self._model)
        self._peers = peers
        self._state = "The model is not warm yet."

    @property
    def readiness(self) -> Readiness:
        """Readiness: warmed up, self-tested, every thread alive, not stopping."""
        reasons = (threads.reason for threads in self._thread_pools)
        reason = self._state or next(filter(None, reasons), "")
        return Readiness(not reason, reason)

    @property
    def _thread_pools(self) -> tuple[ThreadPool, ...]:
        return self._batcher.threads, self._decoder.threads, self._large_decoder.threads

    @property
    def waiting_since(self) -> float | None:
        """Time since which the oldest image waits for inference, by `perf_counter`; None for no image."""
        oldest = self._waiting.oldest()
        return oldest.queued_at if oldest else None

    async def start(self) -> None:
        """Warm every batch size, test the model against its card, start the threads.

        Raises:
            ArtefactError: the model's outputs differ from its card's.
        """
        self._loop = asyncio.get_running_loop()
        self.images_per_second = await asyncio.to_thread(warm_up, self._model, self._batcher.buckets)
        await asyncio.to_thread(self._costs.measure, self.card.preprocessing)
        for threads in self._thread_pools:
            await threads.start()
        estimate = WaitEstimate(
            self._batcher.buckets[-1],
            self.images_per_second,
            self._decoders,
            self._large_decoder.head_start,
            lambda: self._costs.slowdown,
        )
        self._admission = Admission(self._limit, estimate, self._longest_wait, self._peers.count_busy)
        self._watcher = asyncio.create_task(self._watch())
        self._state = ""

    def announce_end(self) -> None:
        """Be ready no more, but go on answering until `stop`."""
        self._state = "The service is stopping."

    async def stop(self, drain_seconds: float) -> None:
        """Admit nothing more, finish accepted calls within `drain_seconds`, stop the threads."""
        self.announce_end()
        if self._admission is not None:
            self._admission.close()
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._admission.until_empty(), drain_seconds)
            self._calls.refuse(
                "shutting_down", "The service stopped before it answered this request. Send it again."
            )
            self._watcher.cancel()
        for queue in (*self._encoded.values(), self._waiting):
            queue.close()
        for threads in self._thread_pools:
            await threads.join(_JOIN_SECONDS)

    def refusal(self, deadline: Deadline | None = None) -> ServiceError | None:
        """Return 503 `overloaded` or `deadline_unreachable`, if an interactive call would be refused now.

        Nothing needs to be known of its images.
        """
        return None if self._admission is None else self._admission.refusal(deadline)

    async def embed(
        self,
        images: Sequence[bytes],
        want: Want,
        priority: Priority = Priority.INTERACTIVE,
        stages: Stages | None = None,
        deadline: Deadline | None = None,
        quota: Quota | None = None,
        resolution: int = 1,
    ) -> list[Outcome]:
        """Answer every image, in the order given; an image that fails is a `Failed`, the others are answered.

        A cancelled call takes its images out of the queue.

        Args:
            images: encoded images.
            want: how much of the model to run.
            priority: interactive calls are refused when the service is full, bulk calls wait.
            stages: filled with the times of the stages.
            deadline: deadline of an interactive call; setting its `passed` comes with a cancellation of the
                call.
            quota: charged for the images; the charge for refused ones is returned.
            resolution: how many times as many rows and columns maps have; above 1, all images get the MI map
                and the projections of the finer grid.

        Raises:
            ServiceError: 503 `overloaded` or `deadline_unreachable` (with `retry_after`), `not_ready` or
                `shutting_down`; 413 `too_many_items` or `too_many_bytes` for a call that could never be
                admitted; 429 `rate_exceeded` or `quota_exceeded` for images that the API key may not send
                now.
        """
        if self._admission is None or any(threads.failed for threads in self._thread_pools):
            raise not_ready(self.readiness.reason)
        if not images:
            # A chunk of vectors, or of lines that failed: it waits for no room, and for no rate of images.
            if self._admission.closed:
                raise shutting_down()
            return []
        further = self._further(want, resolution)
        if further is not None:
            part = further.cost.part(self._limit)
            if priority is Priority.BULK and len(images) > part:
                # A stream's chunk would hold all the room there is.
                parts = [images[start : start + part] for start in range(0, len(images), part)]
                return [
                    outcome
                    for one in parts
                    for outcome in await self.embed(one, want, priority, stages, deadline, quota, resolution)
                ]
            further.cost.check(len(images), self._limit)
            await further.open()
        admitted = partial(self._admit, self._admission, images, want, priority, stages, deadline, further)
        if quota is None:
            return await admitted()
        charge = len(images) * self.cost_of(want, resolution)
        await self._charge(self._admission, quota, charge, priority)
        try:
            return await admitted()
        except ServiceError:
            quota.give_back(charge)
            raise

    def cost_of(self, want: Want, resolution: int = 1) -> int:
        """Count the images that are encoded to answer one."""
        further = self._further(want, resolution)
        return 1 if further is None else further.cost.images

    def _further(self, want: Want, resolution: int) -> FurtherRuns | None:
        if want.needs_contribution:
            return self.contributions
        return None if resolution == 1 else FineMaps(self.card, resolution)

    async def project(self, code: NDArray[np.float32]) -> NDArray[np.float32]:
        """Compute the critic's projections [N, U] of codes [N, Y] that were kept without their images.

        This is rare and cheap beside images, so it takes a thread of its own and no queue.
        """
        size = self._batcher.buckets[-1]
        chunks = [code[start : start + size] for start in range(0, len(code), size)]
        return np.concatenate([await asyncio.to_thread(self._model.project, chunk) for chunk in chunks])

    async def _charge(self, admission: Admission, quota: Quota, images: int, priority: Priority) -> None:
        """Charge images to a quota; a stream waits until the rate of the quota allows it."""
        while wait := quota.charge(images, priority):
            await asyncio.sleep(min(wait, _WATCH_SECONDS))
            if admission.closed:
                raise shutting_down()

    async def _admit(
        self,
        admission: Admission,
        images: Sequence[bytes],
        want: Want,
        priority: Priority,
        stages: Stages | None,
        deadline: Deadline | None,
        further: FurtherRuns | None,
    ) -> list[Outcome]:
        rule = self.card.preprocessing
        costs = list(map(self._costs.of, images))
        needed = resources_of(images, costs, rule.height * rule.width * 3)
        if further is not None:
            needed = further.cost.needed(needed)
        async with admission.admit(needed, priority, deadline):
            if priority is Priority.BULK and further is None:
                outcomes = await self._ask_peers(images, want)
                if outcomes is not None:
                    return outcomes
            return await self._answer(images, costs, want, priority, stages or Stages(), deadline, further)

    async def help(self, images: Sequence[bytes], want: Want) -> list[Outcome]:
        """Answer images as `embed` does, for a peer that has admitted them and charged their quota.

        Raises:
            ServiceError: 503 `not_ready` or `shutting_down`.
        """
        if not self.readiness.ready:
            raise not_ready(self.readiness.reason)
        costs = list(map(self._costs.of, images))
        return await self._answer(images, costs, want, Priority.BULK, Stages(), None)

    async def _ask_peers(self, images: Sequence[bytes], want: Want) -> list[Outcome] | None:
        """Return a peer's answer to a chunk; None where this worker has to answer it."""
        if not self._calls or want.needs_contribution or sum(map(len, images)) < _FEWEST_PEER_BYTES:
            return None
        return await self._peers.answer(PeerRequest(self.key, want, images), len(self._calls))

    async def _answer(
        self,
        images: Sequence[bytes],
        costs: Sequence[DecodeCost],
        want: Want,
        priority: Priority,
        stages: Stages,
        deadline: Deadline | None,
        further: FurtherRuns | None = None,
    ) -> list[Outcome]:
        new_call, run = partial(self._new_call, stages), partial(self._outcomes, deadline)
        call = new_call(len(images))
        if further is None:
            return await run(call, items_of(call, images, costs, want, priority))
        items = items_of(call, images, costs, max(want, further.want), priority, further.displacements)
        return await run_further(further, items, await run(call, items), new_call, run)

    def _new_call(self, stages: Stages, images: int) -> Call:
        return Call([None] * images, images, self._loop.create_future(), stages)

    async def _outcomes(self, deadline: Deadline | None, call: Call, items: list[Item]) -> list[Outcome]:
        if not items:
            return []
        self._enqueue(items)
        return await self._calls.outcomes(call, items, deadline)

    def _enqueue(self, items: list[Item]) -> None:
        """Queue small images for inference, whose threads decode them, and the others for decoding."""
        small = [item for item in items if item.cost.size_class is SizeClass.SMALL]
        if small:
            now = perf_counter()
            for item in small:
                item.queued_at = now
            self._waiting.put(small)
        if len(small) == len(items):
            return
        for size_class, queue in self._encoded.items():
            if encoded := [item for item in items if item.cost.size_class is size_class]:
                queue.put(encoded)

    def _deliver(self, delivery: Delivery) -> None:
        """Hand a delivery of a thread over to the event loop."""
        self._loop.call_soon_threadsafe(self._settle, delivery)

    def _settle(self, delivery: Delivery) -> None:
        if self._admission is not None:
            costs = [item.cost for item in delivery.items if item.cost.size_class is not SizeClass.LARGE]
            decoding = sum(cost.microseconds for cost in costs)
            self._admission.finished(len(costs), delivery.inference_seconds, decoding)
        settle(delivery)
        for call in {item.call for item in delivery.items if item.call.trace is not None}:
            add_spans(call, delivery)

    async def _watch(self) -> None:
        """Refuse the calls of a thread pool that has failed, once a second."""
        while True:
            for threads in self._thread_pools:
                if threads.failed:
                    self._calls.refuse("not_ready", threads.reason)
            await asyncio.sleep(_WATCH_SECONDS)
