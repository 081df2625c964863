"""Counting images by what became of them."""

from collections.abc import Sequence

from service.inference.results import Failed, Outcome
from service.metrics import ITEMS


def count_outcomes(route: str, outcomes: Sequence[Outcome | None]) -> None:
    """Count images of one request, or of one part of a stream, under the route's template.

    Whatever is no `Failed` counts as ok; a stream gives None for what has succeeded.
    """
    kinds: dict[str, int] = {}
    for outcome in outcomes:
        kind = outcome.code if isinstance(outcome, Failed) else "ok"
        kinds[kind] = kinds.get(kind, 0) + 1
    for kind, count in kinds.items():
        ITEMS.labels(route, kind).inc(count)
