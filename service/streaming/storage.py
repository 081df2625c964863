"""Storage of a stream's items in the index: embedded, stored in order, then acknowledged."""

import logging
from collections.abc import Sequence
from typing import cast

import numpy as np
import psycopg
from numpy.typing import NDArray

from service.errors import ServiceError
from service.index.items import Metadata, NewItem, check_id, check_object
from service.index.pictures import Pictures
from service.index.store import Index
from service.index.vectors import check_vectors
from service.inference.pipeline import Pipeline
from service.inference.quota import Quota
from service.inference.results import Failed, Outcome, Priority
from service.inputs.stream import BareVector, StreamItem
from service.streaming.answers import Answer

logger = logging.getLogger(__name__)

_REFUSED = Failed("index_refused", "The index refused this item. The server's log says why.")

_New = NewItem | Failed


class Storage:
    """Handler that stores items. An item is answered with `ok` once it is on the database's disk.

    A chunk is one transaction. Chunks are stored in the stream's order, so of two items with one id the
    later one stays.
    """

    def __init__(
        self, pipeline: Pipeline, index: Index, pictures: Pictures, quota: Quota | None = None
    ) -> None:
        self._quota = quota
        self._pipeline = pipeline
        self._index = index
        self._pictures = pictures

    async def prepare(self, items: Sequence[StreamItem]) -> list[_New]:
        """Check the items and embed those that are images.

        Raises:
            ServiceError: as `Pipeline.embed`.
        """
        checked = self._check_all(items)
        images = [one for one in checked if isinstance(one, bytes)]
        want = self._pictures.want
        embedded = iter(await self._pipeline.embed(images, want, Priority.BULK, quota=self._quota))
        return [
            await self._new(item, one, next(embedded)) if isinstance(one, bytes) else _new(item, one)
            for item, one in zip(items, checked, strict=True)
        ]

    async def conclude(self, items: Sequence[StreamItem], prepared: list[_New]) -> list[Answer]:
        """Store the items in one transaction, then answer."""
        failures = await self._put([one for one in prepared if isinstance(one, NewItem)])
        results = iter(failures)
        return [
            Answer(item.index, item.id, one if isinstance(one, Failed) else next(results))
            for item, one in zip(items, prepared, strict=True)
        ]

    async def _put(self, new: Sequence[NewItem]) -> list[Failed | None]:
        """Store items in one transaction; where that fails, in halves, down to the item at fault."""
        if not new:
            return []
        try:
            await self._store(new)
        except ServiceError as error:
            return [Failed(error.code, str(error))] * len(new)
        except psycopg.Error:
            if len(new) == 1:
                logger.exception("the index refused an item")
                return [_REFUSED]
            middle = len(new) // 2
            return [*await self._put(new[:middle]), *await self._put(new[middle:])]
        return [None] * len(new)

    async def _store(self, new: Sequence[NewItem]) -> None:
        await self._index.put(new)

    async def _new(self, item: StreamItem, data: bytes, outcome: Outcome) -> _New:
        """Make the item of an image."""
        if isinstance(outcome, Failed):
            return outcome
        try:
            return await self._pictures.item(item.id, cast("Metadata", item.metadata), data, outcome)
        except ServiceError as error:
            return _failed(error)

    def _check_all(self, items: Sequence[StreamItem]) -> list[bytes | NDArray[np.float32] | Failed]:
        """Return the image or the vector of each item that may be stored; else its failure."""
        checked = [_check(item) for item in items]
        vectors = iter(
            check_vectors(
                [one.numbers for one in checked if isinstance(one, BareVector)], self._index.dimensions
            )
        )
        return [_vector(next(vectors)) if isinstance(one, BareVector) else one for one in checked]


class CellStorage(Storage):
    """Handler that stores the cells of images that are stored already.

    An item is prepared with the time of the image (`NewItem.updated`), and left out if that has changed.
    """

    async def _store(self, new: Sequence[NewItem]) -> None:
        await self._index.put_cells(new)


def _check(item: StreamItem) -> bytes | BareVector | Failed:
    if isinstance(item.content, Failed):
        return item.content
    try:
        check_id(item.id)
        check_object(item.metadata)
    except ServiceError as error:
        return _failed(error)
    return item.content


def _vector(checked: NDArray[np.float32] | ServiceError) -> NDArray[np.float32] | Failed:
    return _failed(checked) if isinstance(checked, ServiceError) else checked


def _failed(error: ServiceError) -> Failed:
    return Failed(error.code, str(error), error.limit)


def _new(item: StreamItem, result: NDArray[np.float32] | Failed) -> _New:
    if isinstance(result, Failed):
        return result
    return NewItem(item.id, result, cast("Metadata", item.metadata))
