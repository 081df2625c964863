"""What a stream of images is answered: as much of the model as the outputs need, then the index."""

from collections.abc import Sequence

from service.errors import ServiceError
from service.index.items import Neighbour
from service.inputs.stream import StreamItem
from service.results import Failed, Lane, Outcome, Want
from service.runtime import Runtime
from service.streaming_answers import Answer

OUTPUTS = ("embedding", "mi_map", "neighbours")

_NO_IMAGE = Failed("no_image", "The line holds a vector; this route takes images, /v1/items takes both.")

_Found = Sequence[Neighbour] | Failed | None


class Outputs:
    """Embeds images and answers with what was asked for: of one image all of it, or its failure."""

    def __init__(self, runtime: Runtime, outputs: Sequence[str], k: int) -> None:
        """`outputs` are of `OUTPUTS`; `k` is how many neighbours."""
        self._pipeline = runtime.pipeline
        self._index = runtime.index
        self._outputs = outputs
        self._want = Want.MAP if "mi_map" in outputs else Want.EMBEDDING
        self._k = k

    async def prepare(self, items: Sequence[StreamItem]) -> list[Answer]:
        """Embed the images, and search for their neighbours if asked to.

        Raises:
            ServiceError: as `Pipeline.embed`.
        """
        images = [item.content for item in items if isinstance(item.content, bytes)]
        embedded = iter(await self._pipeline.embed(images, self._want, Lane.BULK))
        outcomes = [
            next(embedded) if isinstance(item.content, bytes) else _no_image(item.content) for item in items
        ]
        found: Sequence[_Found] = [None] * len(items)
        if "neighbours" in self._outputs:
            found = await self._search(outcomes)
        return list(map(self._answer, items, outcomes, found))

    async def conclude(self, _items: Sequence[StreamItem], prepared: list[Answer]) -> list[Answer]:
        """Nothing is left to be done in order."""
        return prepared

    async def _search(self, outcomes: Sequence[Outcome]) -> list[_Found]:
        """One after the other: the chunks of a stream, each with one query, keep the connections busy."""
        found: list[_Found] = []
        failed: Failed | None = None
        for outcome in outcomes:
            if isinstance(outcome, Failed) or failed is not None:
                found.append(failed)
                continue
            try:
                found.append(await self._index.search(outcome.embedding, self._k))
            except ServiceError as error:
                # What follows would only wait for the same failure.
                failed = Failed(error.code, str(error))
                found.append(failed)
        return found

    def _answer(self, item: StreamItem, outcome: Outcome, found: _Found) -> Answer:
        if isinstance(outcome, Failed):
            return Answer(item.index, item.id, outcome)
        if isinstance(found, Failed):
            return Answer(item.index, item.id, found)
        return Answer(
            item.index,
            item.id,
            embedding=outcome.embedding if "embedding" in self._outputs else None,
            mi_map=outcome.mi_map,
            neighbours=found,
        )


def _no_image(content: object) -> Failed:
    return content if isinstance(content, Failed) else _NO_IMAGE
