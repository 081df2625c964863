"""Counters of images by outcome."""

from collections.abc import Sequence
from functools import cache

from service.inference.results import Failed, Outcome
from service.metrics import ITEMS

# To find a metric by its labels takes longer than to count.
_items = cache(ITEMS.labels)


def count_outcomes(route: str, outcomes: Sequence[Outcome | None]) -> None:
    """Count the images of a request, or of a chunk of a stream, under the route's template.

    Everything but a `Failed` counts as ok; a stream passes None for success.
    """
    kinds: dict[str, int] = {}
    for outcome in outcomes:
        kind = outcome.code if isinstance(outcome, Failed) else "ok"
        kinds[kind] = kinds.get(kind, 0) + 1
    for kind, count in kinds.items():
        _items(route, kind).inc(count)
