"""Encoder in a Ray actor: parts of a corpus to rows."""

import asyncio
import pickle
import threading
import zlib
from collections.abc import Iterator
from queue import Queue
from typing import Any

import pyarrow as pa

from contract.errors import InfomaxError
from service.corpus.local_run import embed_here
from service.corpus.parts import CorpusPart
from service.corpus.recorder import RowCollector
from service.corpus.rows import CorpusRow, batch_of, schema_of
from service.inference.pipeline import Pipeline
from service.settings import Settings

_PART = "part"
# Always as many together: where an actor dies, Ray repeats its part and goes on behind the tables it has got.
_ROWS = 512
_WAITING_TABLES = 2


def packed(part: CorpusPart) -> pa.Table:
    """Make the block of a part."""
    # Paths repeat each other; what remains is some thirty bytes an image.
    return pa.table({_PART: [zlib.compress(pickle.dumps(part), 1)]})


class OtherModelError(InfomaxError):
    """A machine of the cluster has another model, or runs it in another precision."""


class RayEncoder:
    """Model that stays loaded in one actor; what `map_batches` calls."""

    def __init__(self, settings: Settings, key: str) -> None:
        """Load the model and start its threads.

        Args:
            settings: of one process.
            key: of the pipeline that every actor must have.

        Raises:
            OtherModelError: the model that is found here gives other vectors.
            ArtefactError, SettingsError: as `Pipeline`.
        """
        self._settings = settings
        self._pipeline = Pipeline(settings)
        if self._pipeline.key != key:
            raise OtherModelError(
                f"A machine of the cluster has the model {self._pipeline.key}, another one {key}. "
                "Give all the same folder of models, and set --precision."
            )
        self._schema = schema_of(self._pipeline.card.shapes.embedding, self._pipeline.card.id)
        self._loop = asyncio.new_event_loop()
        threading.Thread(target=self._loop.run_forever, daemon=True).start()
        asyncio.run_coroutine_threadsafe(self._pipeline.start(), self._loop).result()

    def __call__(self, parts: pa.Table) -> Iterator[pa.Table]:
        """Embed parts; the tables hold a row for each image, in order."""
        column: Any = parts[_PART]
        for one in column.to_pylist():
            yield from self._tables(pickle.loads(zlib.decompress(one)))  # noqa: S301 (of `packed`)

    def _tables(self, part: CorpusPart) -> Iterator[pa.Table]:
        tables = _Tables(self._schema)
        done = asyncio.run_coroutine_threadsafe(self._embed(part, tables), self._loop)
        yield from tables
        done.result()

    async def _embed(self, part: CorpusPart, tables: "_Tables") -> None:
        try:
            await embed_here(self._pipeline, part.images(), tables, self._settings)
            await asyncio.to_thread(tables.commit, now=True)
        finally:
            await asyncio.to_thread(tables.end)


class _Tables(RowCollector):
    """Rows as tables, few of which wait until they are taken."""

    def __init__(self, schema: pa.Schema) -> None:
        super().__init__()
        self._schema = schema
        self._rows: list[CorpusRow] = []
        self._tables: Queue[pa.Table | None] = Queue(_WAITING_TABLES)

    def add(self, row: CorpusRow) -> None:
        self._rows.append(row)

    def commit(self, *, now: bool = False) -> None:
        while len(self._rows) >= _ROWS or (now and self._rows):
            batch = batch_of(self._rows[:_ROWS], self._schema)
            del self._rows[:_ROWS]
            self._tables.put(pa.Table.from_batches([batch]))

    def end(self) -> None:
        self._tables.put(None)

    def __iter__(self) -> Iterator[pa.Table]:
        while (table := self._tables.get()) is not None:
            yield table
