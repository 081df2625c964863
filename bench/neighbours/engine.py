"""Protocol of the engines, and what they have in common."""

from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

# As pgvector builds its graphs, and as the service searches by default.
LINKS = 16
BUILD_BREADTH = 64
SEARCH_BREADTH = 320
# What half precision may swap is compared again in single precision.
SPARE = 32

Labels = NDArray[np.int32]
"""int32 [N, 2]: for each item a label of 10 and one of 1,000 values."""
FIELDS = ("tenth", "thousandth")


@dataclass(frozen=True)
class EngineInfo:
    """Description of an engine.

    Attributes:
        place: `module:class`.
        package: distribution that it needs in the peers' environment; empty for what the service has.
        layout: kind of index, for the table.
    """

    place: str
    package: str
    layout: str


@dataclass(frozen=True)
class BuildTimes:
    """Seconds of building.

    Attributes:
        load: until all vectors are in, and on the disk where the engine has one.
        index: until the approximate index is used, after that.
    """

    load: float
    index: float


class Engine(Protocol):
    """Engine that holds vectors of length one and finds those of the highest inner product."""

    filters: bool
    """Whether it filters within its search."""

    def __init__(self, folder: Path, dimensions: int) -> None:
        """Take an empty folder of its own; start nothing yet."""

    def build(self, vectors: NDArray[np.float32], labels: Labels) -> BuildTimes:
        """Take the vectors [N, D], which may be a memory map, under their row numbers."""

    def search(self, vector: NDArray[np.float32], k: int, field: str | None, value: int) -> list[int]:
        """Find row numbers, best first; only those whose `field` has the value, where one is given."""

    def close(self) -> None:
        """End what was started, and leave the files."""
