"""Counting images by what became of them."""

from collections import Counter
from collections.abc import Sequence

from service.metrics import ITEMS
from service.results import Failed, Outcome


def count_outcomes(route: str, outcomes: Sequence[Outcome]) -> None:
    """Count images of one request, or of one part of a stream, under the route's template."""
    kinds = Counter(outcome.code if isinstance(outcome, Failed) else "ok" for outcome in outcomes)
    for kind, count in kinds.items():
        ITEMS.labels(route, kind).inc(count)
