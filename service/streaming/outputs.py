"""Outputs of a stream of images: as much of the model as they need, then the index."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from service.errors import ServiceError
from service.index.filters import Condition
from service.index.items import Neighbour
from service.index.search import Query
from service.index.search_plan import Recall
from service.index.store import Index
from service.inference.maps import WANTS, PatchMap
from service.inference.pipeline import Pipeline
from service.inference.quota import Quota
from service.inference.results import Failed, Outcome, Priority, Want
from service.inputs.stream import StreamItem
from service.streaming.answers import Answer
from service.streaming.maps import ModelMaps

OUTPUTS = ("embedding", "mi_map", "neighbours")

_NO_IMAGE = Failed("no_image", "The line holds a vector. Send an image here, or the vector to /v1/items.")


@dataclass(frozen=True)
class Search:
    """Search for the neighbours of a stream's images: `reach` of them less the `offset` nearest."""

    index: Index
    reach: int
    condition: Condition | None = None
    recall: Recall = Recall.HIGH
    min_score: float | None = None
    offset: int = 0

    async def by(self, vector: NDArray[np.float32]) -> list[Neighbour]:
        """Search by one vector of the stream."""
        query = Query(vector, self.reach, self.condition, self.recall, self.min_score)
        return (await self.index.search(query))[self.offset :]


_SearchOutcome = Sequence[Neighbour] | Failed | None


class Outputs:
    """Handler that answers each image with all outputs that were asked for, or with its failure."""

    def __init__(
        self,
        pipeline: Pipeline,
        outputs: Sequence[str],
        search: Search | None = None,
        quota: Quota | None = None,
        maps: ModelMaps | None = None,
    ) -> None:
        """Take `outputs` of `OUTPUTS`; images are charged to `quota`.

        Neighbours need `search`, and maps need `maps`.
        """
        self._quota = quota
        self._pipeline = pipeline
        self._outputs = outputs
        self._search = search if "neighbours" in outputs else None
        self._maps = maps if "mi_map" in outputs else None
        self._want = Want.EMBEDDING if self._maps is None else WANTS[self._maps.kind]

    async def prepare(self, items: Sequence[StreamItem]) -> list[Answer]:
        """Embed the images, and search for their neighbours if asked to.

        Raises:
            ServiceError: as `Pipeline.embed`.
        """
        images = [item.content for item in items if isinstance(item.content, bytes)]
        resolution = 1 if self._maps is None else self._maps.resolution
        encoded = await self._pipeline.embed(
            images, self._want, Priority.BULK, quota=self._quota, resolution=resolution
        )
        embedded = iter(encoded)
        outcomes = [
            next(embedded) if isinstance(item.content, bytes) else _no_image(item.content) for item in items
        ]
        found: Sequence[_SearchOutcome] = [None] * len(items)
        if self._search is not None:
            found = await _neighbours(self._search, outcomes)
        mapped: Sequence[PatchMap | Failed | None] = [None] * len(items)
        if self._maps is not None:
            mapped = await self._maps.all(outcomes)
        return list(map(self._answer, items, outcomes, found, mapped))

    async def conclude(self, _items: Sequence[StreamItem], prepared: list[Answer]) -> list[Answer]:
        """Return the prepared answers; nothing depends on the order."""
        return prepared

    def _answer(
        self, item: StreamItem, outcome: Outcome, found: _SearchOutcome, mapped: PatchMap | Failed | None
    ) -> Answer:
        if isinstance(outcome, Failed):
            return Answer(item.index, item.id, outcome)
        if isinstance(found, Failed):
            return Answer(item.index, item.id, found)
        if isinstance(mapped, Failed):
            return Answer(item.index, item.id, mapped)
        return Answer(
            item.index,
            item.id,
            embedding=outcome.embedding if "embedding" in self._outputs else None,
            mi_map=mapped,
            neighbours=found,
            image=outcome.image,
        )


def _no_image(content: object) -> Failed:
    return content if isinstance(content, Failed) else _NO_IMAGE


async def _neighbours(search: Search, outcomes: Sequence[Outcome]) -> list[_SearchOutcome]:
    """Search one image after the other; the chunks of a stream keep the connections busy."""
    found: list[_SearchOutcome] = []
    failed: Failed | None = None
    for outcome in outcomes:
        if isinstance(outcome, Failed) or failed is not None:
            found.append(failed)
            continue
        try:
            found.append(await search.by(outcome.embedding))
        except ServiceError as error:
            # Further searches would only wait for the same failure.
            failed = Failed(error.code, str(error))
            found.append(failed)
    return found
