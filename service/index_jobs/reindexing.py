"""Re-indexing: the images of one space, embedded by another model into its own space.

An item of the new space has the time of the put that made the old one. What is missing there, or older, is
left to do; so a run that was killed goes on by being started again, and a later run takes in what changed.
Where both spaces are the same, the images that have no cells get them.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime

from psycopg import AsyncConnection

from contract.progress import Progress
from service.index.database import Database
from service.index.items import NewItem
from service.index.pictures import Pictures
from service.index.space import ModelIdentity, find_or_create, identity_of
from service.index.store import Index
from service.index_jobs.access import IndexJobError, connected
from service.index_jobs.old_images import OldImages
from service.index_jobs.spaces import ListedSpace, choose_space, list_spaces
from service.inference.pipeline import Pipeline
from service.inference.results import Failed
from service.inputs.stream import Groups, StreamItem
from service.settings import Settings
from service.streaming.answers import Answer
from service.streaming.storage import CellStorage, Storage
from service.streaming.stream import Stream, Window

_STOPS = frozenset({"index_unavailable", "not_ready", "shutting_down"})


@dataclass
class Reindexed:
    """Result of a run.

    Attributes:
        model: `name/version` of the new space.
        source: the old space.
        stored: images embedded and stored by this run.
        failures: number of items left out, by code.
        pruned: items removed, because the old space has them no more.
        graph: whether searches of the new space use a graph.
    """

    model: str
    source: ListedSpace
    stored: int = 0
    failures: dict[str, int] = field(default_factory=dict)
    pruned: int = 0
    graph: bool = False


LeftOut = Callable[[str, Failed], None]
"""Takes the id of an item that was left out, and why."""


async def reindex(
    url: str,
    settings: Settings,
    wanted: str | None,
    progress: Progress,
    left_out: LeftOut,
    *,
    prune: bool = False,
) -> Reindexed:
    """Bring the space of the settings' model up to an older one's images; on return its graph is built too.

    Args:
        url: of the database.
        settings: of the model, and of what is kept of its images.
        wanted: the old space, by number or model; None for the only other one that holds items.
        progress: shows the images.
        left_out: called for each item that is not in the new space.
        prune: also remove items of the new space that are not in the old one.

    Raises:
        IndexJobError: there is no such space, or the database went away.
        InfomaxError: the model cannot be used.
    """
    pipeline = Pipeline(settings)
    precision = pipeline.report.precision.active
    identity = identity_of(pipeline.card, precision)
    async with connected(url) as connection:
        source = _source(await list_spaces(connection), identity, wanted, regions=settings.index_regions)
        target = await find_or_create(connection, identity)
        images = OldImages(connection, source.space, target, settings)
        done = Reindexed(pipeline.card.id, source)
        if prune:
            done.pruned = await images.prune()
        total = await images.count()
        database = Database(url, folder=None if settings.database_url else settings.data_dir)
        index = Index(
            database,
            pipeline.card,
            settings.index_exact_items,
            precision=precision,
            regions=settings.index_regions,
        )
        pictures = Pictures(
            pipeline.card,
            settings.model_copy(update={"originals": await images.kept_originals()}),
        )
        await database.open()
        try:
            if total:
                await pipeline.start()
                storage = Storage(pipeline, index, pictures)
                if source.space == target:
                    storage = CellStorage(pipeline, index, pictures)
                run = _ReindexHandler(images, storage, done, progress, total, left_out)
                failure = await Stream(run.groups(), run, Window.of(settings)).run(run.write)
                if failure is not None:
                    raise failure
            progress.note("building the neighbour graph, where there are enough items for one")
            await index.maintain()
            done.graph = await _has_graph(connection, target.number)
        finally:
            await pipeline.stop(0)
            pictures.stop()
            await index.stop()
            await database.close()
    return done


def _source(
    spaces: Sequence[ListedSpace], identity: ModelIdentity, wanted: str | None, *, regions: bool
) -> ListedSpace:
    """Choose the old space; with regions it may be that of the model.

    Raises:
        IndexJobError: there is none, or a doubt.
    """
    others = [one for one in spaces if one.identity != identity]
    for own in spaces:
        if own.identity == identity and wanted in (str(own.number), own.identity.model):
            if regions:
                return own
            if all(wanted != one.identity.model for one in others):
                raise IndexJobError(
                    f"The vectors of {own.name} are of this model already. Choose another space by --from, "
                    "or give its images regions by --index-regions."
                )
    if wanted is None and not any(one.statistics.items for one in others):
        raise IndexJobError("The index holds no items of another model. Check --data-dir or --database-url.")
    return choose_space(others, wanted, option="--from")


async def _has_graph(connection: AsyncConnection, number: int) -> bool:
    found = [one for one in await list_spaces(connection) if one.number == number]
    return bool(found) and found[0].statistics.search == "hnsw"


class _ReindexHandler:
    """Handler of a stream of old images, and what is counted of them."""

    def __init__(
        self,
        images: OldImages,
        storage: Storage,
        done: Reindexed,
        progress: Progress,
        total: int,
        left_out: LeftOut,
    ) -> None:
        self._images = images
        self._storage = storage
        self._done = done
        self._progress = progress
        self._total = total
        self._left_out = left_out
        self._seen = 0
        self._updated: dict[int, datetime] = {}

    async def groups(self) -> Groups:
        """Read the old images, a bounded number of bytes at a time."""
        count = 0
        async for group in self._images.groups():
            items = []
            for image in group:
                self._updated[count] = image.updated
                items.append(StreamItem(count, image.id, image.content, image.metadata))
                count += 1
            yield items

    async def prepare(self, items: Sequence[StreamItem]) -> list[NewItem | Failed]:
        """Embed; give each item the time of the old one, by which it is told from a later one."""
        prepared = await self._storage.prepare(items)
        return [
            replace(one, updated=self._updated[item.index]) if isinstance(one, NewItem) else one
            for item, one in zip(items, prepared, strict=True)
        ]

    async def conclude(self, items: Sequence[StreamItem], prepared: list[NewItem | Failed]) -> list[Answer]:
        """Store in one transaction."""
        return await self._storage.conclude(items, prepared)

    async def write(self, answers: Sequence[Answer]) -> None:
        """Count.

        Raises:
            IndexJobError: the database does not answer; all items would fail.
        """
        for answer in answers:
            self._updated.pop(answer.index, None)
            self._seen += 1
            if answer.failed is None:
                self._done.stored += 1
                continue
            if answer.failed.code in _STOPS:
                raise IndexJobError(f"{answer.failed.message} Run the same command again to go on.")
            codes = self._done.failures
            codes[answer.failed.code] = codes.get(answer.failed.code, 0) + 1
            self._left_out(answer.id, answer.failed)
        self._progress.update(self._seen, self._total)
