"""What the index has to hold, by what was acknowledged."""

from collections.abc import Mapping
from dataclasses import dataclass, field

Version = int | None
"""Version that an item's metadata hold; None where there is no item."""


@dataclass
class Expected:
    """Versions that each item may have now.

    Attributes:
        versions: for each id the acknowledged version, and those that were under way since.
        acknowledged: number of changes that were acknowledged.
    """

    versions: dict[str, set[Version]] = field(default_factory=dict)
    acknowledged: int = 0

    def begin(self, item_id: str, version: Version) -> None:
        """Note a change that is sent."""
        self.versions.setdefault(item_id, {None}).add(version)

    def acknowledge(self, item_id: str, version: Version) -> None:
        """Note an acknowledged change: no earlier version counts any more."""
        self.versions[item_id] = {version}
        self.acknowledged += 1

    def contradictions(self, stored: Mapping[str, Version]) -> list[str]:
        """List the items that are stored and may not be, or that are missing."""
        return [
            f"{item_id}: {stored.get(item_id)}, allowed {sorted(allowed, key=str)}"
            for item_id in sorted({*self.versions, *stored})
            if stored.get(item_id) not in (allowed := self.versions.get(item_id, {None}))
        ]

    def settle(self, stored: dict[str, Version]) -> None:
        """Take the stored versions as acknowledged: they have to stay from now on."""
        self.versions = {item_id: {stored.get(item_id)} for item_id in self.versions}
