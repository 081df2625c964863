"""Counters of images by outcome."""

from collections.abc import Sequence

from service.inference.results import Failed, Outcome
from service.metrics import ITEMS


def count_outcomes(route: str, outcomes: Sequence[Outcome | None]) -> None:
    """Count the images of a request, or of a chunk of a stream, under the route's template.

    Everything but a `Failed` counts as ok; a stream passes None for success.
    """
    kinds: dict[str, int] = {}
    for outcome in outcomes:
        kind = outcome.code if isinstance(outcome, Failed) else "ok"
        kinds[kind] = kinds.get(kind, 0) + 1
    for kind, count in kinds.items():
        ITEMS.labels(route, kind).inc(count)
