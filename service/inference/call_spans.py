"""Spans of a call's images: decoding, the wait for a batch, the batch."""

from collections.abc import Sequence

from service import tracing
from service.inference.calls import Call, Delivery, Item
from service.inference.decode_cost import SizeClass


def add_spans(call: Call, delivery: Delivery) -> None:
    """Add the spans of those images of a traced call that one thread delivers."""
    if call.trace is None:
        return
    items = [item for item in delivery.items if item.call is call]
    attributes = {"infomax.images": len(items)}
    for name, started, ended in _stages(call, items, delivery):
        tracing.add(name, call.trace, started, ended, attributes)
    if delivery.inference_seconds:
        tracing.add(
            "inference",
            call.trace,
            delivery.at - delivery.inference_seconds,
            delivery.at,
            # Images of other requests are in the same batch.
            attributes | {"infomax.batch.images": len(delivery.items)},
        )


def _stages(call: Call, items: Sequence[Item], delivery: Delivery) -> list[tuple[str, float, float]]:
    found: list[tuple[str, float, float]] = []
    # The thread of their batch decodes small images, others before they wait.
    starts = {True: [item.taken_at for item in items], False: [call.started] * len(items)}
    for small, start in starts.items():
        ends = [
            one + item.decode_seconds
            for one, item in zip(start, items, strict=True)
            if item.decode_seconds and (item.cost.size_class is SizeClass.SMALL) is small
        ]
        if ends:
            found.append(("decode", min(start), max(ends)))
    if delivery.inference_seconds:
        queued = min(item.queued_at for item in items)
        found.append(("queue", queued, max(item.taken_at for item in items)))
    return found
