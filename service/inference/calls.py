"""Calls and their images in the pipeline."""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from time import perf_counter
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from service import tracing
from service.inference.decode_cost import DecodeCost
from service.inference.results import ImageInfo, Outcome, Priority, Stages, Want

if TYPE_CHECKING:
    from opentelemetry.context import Context

_NO_PIXELS = np.empty((0, 0, 3), np.uint8)
_NO_INFO = ImageInfo("unknown", 0, 0)


@dataclass(slots=True, eq=False)
class Call:
    """Call of one caller. Its fields change on the event loop only.

    Attributes:
        outcomes: one outcome for each image, in the caller's order; None until it is known.
        missing: number of outcomes that are not known yet.
        done: resolved when none is missing.
        abandoned: why the caller does not wait any more: `client_gone`, `deadline_exceeded` or the code of a
            refusal. It is empty while the caller waits. Threads skip the images of an abandoned call.
        stages: time that each stage took.
        started: time of the call, by `perf_counter`.
        trace: what its spans belong to; None where the call is not traced.
    """

    outcomes: list[Outcome | None]
    missing: int
    done: asyncio.Future[None]
    stages: Stages
    abandoned: str = ""
    started: float = field(default_factory=perf_counter)
    trace: "Context | None" = field(default_factory=tracing.current)


@dataclass(frozen=True, slots=True)
class CoveredCopy:
    """Copy of an encoded image in which patches are replaced, of which only f is to be computed.

    Attributes:
        features: float32 [C, M, M], of the image; all of its copies share them.
        keep: bool [M, M], the patches that stay.
    """

    features: NDArray[np.float32]
    keep: NDArray[np.bool_]


@dataclass(slots=True, eq=False)
class Item:
    """One image of a call. At most one thread at a time has it.

    Attributes:
        call: the call.
        position: position in the call.
        want: how much of the model to run.
        priority: priority of the call.
        data: encoded bytes; empty once decoded.
        cost: what decoding it was expected to take.
        pixels: uint8 [H, W, 3]; empty until decoded.
        copy: covered copy of an image that was encoded, instead of an image.
        info: format and size; a placeholder until decoded.
        queued_at: time at which it began to wait for inference, by `perf_counter`.
        taken_at: time at which an inference thread took it.
        decode_seconds: time until it was decoded, from the start of the call or, where the thread of its
            batch decoded it, from `taken_at`.
        deaths: inference threads that died in a batch with this image.
        displacements: of the windows that are decoded with it.
        windows: uint8 [R, R, H, W, 3], as `contract.images.decode` gives them; None until decoded.
    """

    call: Call
    position: int
    want: Want
    priority: Priority
    data: bytes
    cost: DecodeCost
    pixels: NDArray[np.uint8] = field(default_factory=lambda: _NO_PIXELS)
    copy: CoveredCopy | None = None
    info: ImageInfo = _NO_INFO
    queued_at: float = 0.0
    taken_at: float = 0.0
    decode_seconds: float = 0.0
    deaths: int = 0
    displacements: tuple[float, ...] = ()
    windows: NDArray[np.uint8] | None = None


def items_of(
    call: Call,
    images: Sequence[bytes],
    costs: Sequence[DecodeCost],
    want: Want,
    priority: Priority,
    displacements: tuple[float, ...] = (),
) -> list[Item]:
    """Make the items of a call's images, with windows at these displacements."""
    return [
        Item(call, position, want, priority, data, cost, displacements=displacements)
        for position, (data, cost) in enumerate(zip(images, costs, strict=True))
    ]


@dataclass(frozen=True, slots=True)
class Delivery:
    """Finished images that a thread delivers to their callers.

    Attributes:
        items: the images.
        outcomes: one outcome for each image.
        inference_seconds: run time of their batch; 0 where decoding failed.
        at: time of the delivery, by `perf_counter`.
    """

    items: Sequence[Item]
    outcomes: Sequence[Outcome]
    inference_seconds: float = 0.0
    at: float = field(default_factory=perf_counter)


Deliver = Callable[[Delivery], None]


def settle(delivery: Delivery) -> None:
    """Enter the outcomes into their calls, and wake the callers whose calls are complete.

    The first outcome of an image stands, because a dying thread delivers every image that it had, finished or
    not.
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
