"""Connected components of pairs: groups of items that are near-duplicates of each other, one by one."""

from collections.abc import Iterator
from dataclasses import dataclass


@dataclass(frozen=True)
class DuplicateGroup:
    """Near-duplicates.

    Attributes:
        ids: sorted, two or more.
        least_score: the lowest cosine of a pair that joins them.
    """

    ids: tuple[str, ...]
    least_score: float


class DuplicateGroups:
    """Disjoint sets of ids, joined pair by pair (union by size with path halving, Tarjan 1975)."""

    def __init__(self) -> None:
        """Begin without ids; those that are in no pair take no memory."""
        self._parents: dict[str, str] = {}
        self._sizes: dict[str, int] = {}
        self._least: dict[str, float] = {}

    def join(self, one: str, other: str, score: float) -> None:
        """Put two ids into one group."""
        first, second = self._root(one), self._root(other)
        least = min(score, self._least.get(first, score), self._least.get(second, score))
        if first != second:
            if self._sizes[first] < self._sizes[second]:
                first, second = second, first
            self._parents[second] = first
            self._sizes[first] += self._sizes.pop(second)
            self._least.pop(second, None)
        self._least[first] = least

    def __iter__(self) -> Iterator[DuplicateGroup]:
        """Give the groups, the largest first, equal ones by their first id."""
        members: dict[str, list[str]] = {}
        for item_id in self._parents:
            members.setdefault(self._root(item_id), []).append(item_id)
        groups = [DuplicateGroup(tuple(sorted(ids)), self._least[root]) for root, ids in members.items()]
        return iter(sorted(groups, key=lambda group: (-len(group.ids), group.ids)))

    def _root(self, item_id: str) -> str:
        parents = self._parents
        if item_id not in parents:
            parents[item_id] = item_id
            self._sizes[item_id] = 1
        while parents[item_id] != item_id:
            parents[item_id] = parents[parents[item_id]]
            item_id = parents[item_id]
        return item_id
