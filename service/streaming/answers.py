"""Answers to the items of a stream, and the count of them."""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from service.index.items import Neighbour
from service.inference.maps import PatchMap
from service.inference.results import Failed, ImageInfo


@dataclass(frozen=True, slots=True)
class Answer:
    """Answer to one item: its failure, or the outputs that were asked for.

    Attributes:
        index: position of the item.
        id: id of the item.
        failed: why it has no outputs.
        embedding: float32 [D].
        mi_map: map of the kind that was asked for.
        neighbours: best first.
        image: format and size of the image.
    """

    index: int
    id: str
    failed: Failed | None = None
    embedding: NDArray[np.float32] | None = None
    mi_map: PatchMap | None = None
    neighbours: Sequence[Neighbour] | None = None
    image: ImageInfo | None = None


@dataclass(slots=True)
class Tally:
    """Count of answered items, and of failures by code."""

    items: int = 0
    failures: Counter[str] = field(default_factory=Counter)

    @property
    def errors(self) -> int:
        return self.failures.total()

    @property
    def ok(self) -> int:
        return self.items - self.errors

    def add(self, answers: Iterable[Answer]) -> None:
        for answer in answers:
            self.items += 1
            if answer.failed is not None:
                self.failures[answer.failed.code] += 1
