"""A call and its images on their way through the pipeline."""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from time import perf_counter

import numpy as np
from numpy.typing import NDArray

from service.inference.results import ImageInfo, Outcome, Priority, Stages, Want

_NO_PIXELS = np.empty((0, 0, 3), np.uint8)
_NO_INFO = ImageInfo("unknown", 0, 0)


@dataclass(slots=True, eq=False)
class Call:
    """What one caller waits for. Its fields change on the event loop only.

    Attributes:
        outcomes: one place for each image, in the caller's order.
        missing: places still empty.
        done: resolved when nothing is missing.
        abandoned: why nobody waits any more, `client_gone`, `deadline_exceeded` or the code of a refusal;
            empty while somebody does. Threads read it and skip the images.
        stages: where the time went.
        started: time of the call, by `perf_counter`.
    """

    outcomes: list[Outcome | None]
    missing: int
    done: asyncio.Future[None]
    stages: Stages
    abandoned: str = ""
    started: float = field(default_factory=perf_counter)


@dataclass(slots=True, eq=False)
class Item:
    """One image. Exactly one thread at a time works on it.

    Attributes:
        data: encoded bytes; empty once decoded.
        pixels, info: uint8 [H, W, 3], format and size; placeholders until decoded.
        queued_at, taken_at: `perf_counter` when it began to wait for inference, and when a thread took it.
        decode_seconds: until it was decoded, from the call's start or, where the thread of its batch decoded
            it, from `taken_at`.
        deaths: inference threads that died in a batch with this image.
    """

    call: Call
    position: int
    want: Want
    priority: Priority
    data: bytes
    pixels: NDArray[np.uint8] = field(default_factory=lambda: _NO_PIXELS)
    info: ImageInfo = _NO_INFO
    queued_at: float = 0.0
    taken_at: float = 0.0
    decode_seconds: float = 0.0
    deaths: int = 0


@dataclass(frozen=True, slots=True)
class Delivery:
    """Finished images on their way from a thread to their callers.

    Attributes:
        items, outcomes: one outcome for each item.
        inference_seconds: run time of the batch that they were in; 0 where decoding failed.
    """

    items: Sequence[Item]
    outcomes: Sequence[Outcome]
    inference_seconds: float = 0.0


Deliver = Callable[[Delivery], None]


def settle(delivery: Delivery) -> None:
    """Put the outcomes in their calls' places and wake the callers that miss nothing more.

    The first outcome of an image stands: a dying thread reports all that it held, finished or not.
    """
    calls = set()
    for item, outcome in zip(delivery.items, delivery.outcomes, strict=True):
        call = item.call
        if call.outcomes[item.position] is not None:
            continue
        call.outcomes[item.position] = outcome
        call.missing -= 1
        stages = call.stages
        stages.decode = max(stages.decode, item.decode_seconds)
        if delivery.inference_seconds:
            stages.queue = max(stages.queue, item.taken_at - item.queued_at)
        calls.add(call)
    for call in calls:
        call.stages.inference += delivery.inference_seconds
        if call.missing == 0 and not call.done.done():
            call.done.set_result(None)
