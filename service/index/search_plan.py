"""Choice between a walk through the graph and a comparison row by row: whichever takes less time.

The graph's candidates follow k, the recall that was asked for, and the share of rows that a filter passes.
Where few rows pass, the graph would walk through thousands of others; to read those few is exact and faster.
"""

from dataclasses import dataclass
from enum import StrEnum

# Half precision may swap close neighbours; this many more candidates keep the true ones among them.
SPARE_CANDIDATES = 32
# pgvector's own limit for hnsw.ef_search.
MOST_BREADTH = 1000
# Microseconds on one core for a candidate of the graph, a row that the index of metadata finds, and one of
# all rows. Their ratios alone matter.
GRAPH_COST = 25.0
_INDEXED_COST = 4.0
_SCANNED_COST = 1.5
# Rows refused by the filter after which the graph gives up; the search then reads row by row.
LEAST_WALK = 20_000
WALK_MARGIN = 4.0


class Recall(StrEnum):
    """How many of the true neighbours a search has to find."""

    EXACT = "exact"
    HIGH = "high"
    FAST = "fast"


# Fewest candidates, and candidates for each neighbour that is wanted.
_BREADTH = {Recall.HIGH: (200, 3.0), Recall.FAST: (64, 1.25)}


@dataclass(frozen=True)
class Walk:
    """How the graph is searched.

    Attributes:
        breadth: candidates that are kept at a time (`hnsw.ef_search`).
        most: rows after which it gives up (`hnsw.max_scan_tuples`).
    """

    breadth: int
    most: int


def unfiltered(recall: Recall, k: int) -> Walk:
    """The walk for k neighbours among all items."""
    return Walk(_breadth(recall, k), LEAST_WALK)


def filtered(recall: Recall, k: int, items: int, share: float, *, indexed: bool) -> Walk | None:
    """The walk for k neighbours where a filter passes a share of the items; None where rows are faster.

    Args:
        recall: how thoroughly; not `EXACT`.
        k: neighbours that are wanted.
        items: in the space.
        share: of the items that pass, above 0.
        indexed: whether the index of metadata finds those that pass.
    """
    visited = max(_breadth(recall, k), (k + SPARE_CANDIDATES) / share)
    by_row = share * items * _INDEXED_COST if indexed else items * _SCANNED_COST
    if by_row < visited * GRAPH_COST:
        return None
    return Walk(min(MOST_BREADTH, round(visited)), max(LEAST_WALK, round(WALK_MARGIN * visited)))


def _breadth(recall: Recall, k: int) -> int:
    least, factor = _BREADTH[recall]
    return min(MOST_BREADTH, max(least, round(factor * (k + SPARE_CANDIDATES))))
