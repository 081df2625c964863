"""Import of a Parquet file that an export has written, in bounded memory."""

import asyncio
import hashlib
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

import pyarrow as pa
import pyarrow.parquet as pq
from psycopg import AsyncConnection

from contract.artefact import open_artefact
from contract.progress import Progress
from service.index.items import NewItem
from service.index.merging import merge
from service.index.originals import OriginalsFolder
from service.index.space import ModelIdentity, find_or_create, identity_of
from service.index_jobs.access import IndexJobError
from service.index_jobs.item_table import identity_in, items_of
from service.index_jobs.spaces import described, list_spaces
from service.inputs.names import shown_path
from service.settings import Settings

_ROWS_STORED = 500
_PRECISIONS: tuple[Literal["fp32", "int8"], ...] = ("fp32", "int8")


@dataclass
class Imported:
    """What an import has stored.

    Attributes:
        model: `name/version` of the space.
        items: rows stored, those that replaced older ones included.
        originals: with their originals.
        dropped: whose originals were left out, because none are kept here.
        without_regions: that had cells, and have none because their vector is another one now.
    """

    model: str
    items: int = 0
    originals: int = 0
    dropped: int = 0
    without_regions: int = 0


async def import_file(
    connection: AsyncConnection, path: Path, settings: Settings, progress: Progress
) -> Imported:
    """Store every row in place of an older item of the same id; a repeated import changes nothing.

    An older item with the same vector keeps what the file lacks: cells, thumbnail, original.

    Raises:
        IndexJobError: the file cannot be read, is of a model that is not here, or a row breaks a rule; rows
            before that row are stored.
    """
    source = shown_path(path)
    try:
        with pq.ParquetFile(path) as file:
            identity = identity_in(file.schema_arrow, source)
            await _check_known(connection, identity, settings.models_dir, source)
            space = await find_or_create(connection, identity)
            keeper = _OriginalsKeeper(settings)
            done = Imported(identity.model)
            total = file.metadata.num_rows
            for group in range(file.num_row_groups):
                for batch in file.iter_batches(_ROWS_STORED, row_groups=[group]):
                    found = {item.id: item for item in items_of(batch, done.items + 1, source)}
                    kept = [await keeper.keep(found[item_id], done) for item_id in sorted(found)]
                    done.without_regions += await merge(connection, space, kept)
                    done.items += batch.num_rows
                    progress.update(done.items, total)
    except (OSError, pa.ArrowException) as error:
        reason = (getattr(error, "strerror", None) or str(error)).strip().split("\n", 1)[0].rstrip(".")
        raise IndexJobError(f"{source} cannot be read: {reason}. Name a Parquet file.") from error
    return done


async def _check_known(
    connection: AsyncConnection, identity: ModelIdentity, models: Path, source: str
) -> None:
    """Refuse vectors that no model here makes: searches would never find them.

    Raises:
        IndexJobError: neither a space nor a model is of this identity.
    """
    if any(one.identity == identity for one in await list_spaces(connection)):
        return
    folder = models / identity.model
    present = "there is no such model"
    if folder.is_dir():
        card = (await asyncio.to_thread(open_artefact, folder)).card
        here = [
            identity_of(card, precision)
            for precision in _PRECISIONS
            if precision == "fp32" or card.int8 is not None
        ]
        if identity in here:
            return
        present = f"the model there is {described(here[0])}"
    raise IndexJobError(
        f"{source} holds vectors of {described(identity)}. The index has no such space, and in "
        f"{shown_path(models)} {present}. Put that model there, or name its folder by --models-dir."
    )


class _OriginalsKeeper:
    """Keeper of the originals of imported items, where the settings say."""

    def __init__(self, settings: Settings) -> None:
        self._where = settings.originals
        self._folder = OriginalsFolder(settings.originals_folder)

    async def keep(self, item: NewItem, done: Imported) -> NewItem:
        """Return the item as it is stored.

        Raises:
            IndexReadOnlyError: the folder of originals cannot be written to.
        """
        if item.original is None:
            return replace(item, original_sha256=None)
        if self._where == "none":
            done.dropped += 1
            return replace(item, original=None, original_sha256=None)
        done.originals += 1
        if self._where == "database":
            return replace(item, original_sha256=hashlib.sha256(item.original).digest())
        digest = await asyncio.to_thread(self._folder.write, item.original)
        return replace(item, original=None, original_sha256=digest)
