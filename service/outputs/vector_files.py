"""Files of embeddings: NumPy, Parquet, Arrow or NDJSON, written row group by row group."""

import os
from abc import ABC, abstractmethod
from pathlib import Path
from types import TracebackType
from typing import IO, Any

import numpy as np
import orjson
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from numpy.typing import NDArray

_ROWS_PER_GROUP = 8192


class VectorFile(ABC):
    """File that is being written, of batches with the columns `id`, `embedding` and others.

    Its bytes depend on the rows alone, not on how they are divided into batches.
    """

    def __init__(self, path: Path, schema: pa.Schema) -> None:
        """Begin a file of rows of this schema."""
        self._schema = schema
        # Opened here: Arrow opens no file whose name is not UTF-8.
        self._sink = path.open("wb")
        self._files: list[IO[Any]] = [self._sink]
        self._waiting: list[pa.RecordBatch] = []
        self._waiting_rows = 0

    def __enter__(self) -> "VectorFile":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            if kind is None:
                self._write_group(self._waiting_rows)
                self._end()
                for file in self._files:
                    file.flush()
                    os.fsync(file.fileno())
        finally:
            for file in self._files:
                file.close()

    @staticmethod
    def companions(_path: Path) -> tuple[Path, ...]:
        """List further files that belong to the one at a path."""
        return ()

    def write(self, batch: pa.RecordBatch) -> None:
        """Append rows."""
        self._waiting.append(batch)
        self._waiting_rows += batch.num_rows
        while self._waiting_rows >= _ROWS_PER_GROUP:
            self._write_group(_ROWS_PER_GROUP)

    def _write_group(self, rows: int) -> None:
        if not rows:
            return
        table = pa.Table.from_batches(self._waiting, self._schema)
        self._group(table.slice(0, rows).combine_chunks())
        rest = table.slice(rows)
        self._waiting, self._waiting_rows = rest.to_batches(), rest.num_rows

    @abstractmethod
    def _group(self, group: pa.Table) -> None:
        """Write the next rows."""

    def _end(self) -> None:  # noqa: B027 (not every format has an end)
        """Write what belongs behind the last row."""


class NpyFile(VectorFile):
    """`out.npy` with float32 [N, D], and `out.txt` with the N ids, one per line, without the failures."""

    def __init__(self, path: Path, schema: pa.Schema) -> None:
        super().__init__(path, schema)
        self._rows = 0
        (names,) = self.companions(path)
        self._files.append(names.open("w", encoding="utf-8", newline="\n"))
        self._write_header()

    @staticmethod
    def companions(_path: Path) -> tuple[Path, ...]:
        return (_path.with_suffix(".txt"),)

    def _group(self, group: pa.Table) -> None:
        vectors, names = self._files
        ids, values = embedded(group)
        self._rows += len(ids)
        vectors.write(values.astype("<f4", copy=False).tobytes())
        names.writelines(_one_line(name) for name in ids)

    def _end(self) -> None:
        self._files[0].seek(0)
        self._write_header()

    def _write_header(self) -> None:
        """Write the header. NumPy leaves space in it for any number of rows."""
        shape = (self._rows, self._schema.field("embedding").type.list_size)
        header = {"descr": "<f4", "fortran_order": False, "shape": shape}
        np.lib.format.write_array_header_1_0(self._sink, header)


class ParquetFile(VectorFile):
    """All columns of all rows, in row groups of 8192."""

    def __init__(self, path: Path, schema: pa.Schema) -> None:
        super().__init__(path, schema)
        self._writer = pq.ParquetWriter(self._sink, schema)

    def _group(self, group: pa.Table) -> None:
        self._writer.write_table(group)

    def _end(self) -> None:
        self._writer.close()


class ArrowFile(VectorFile):
    """All columns of all rows as an Arrow IPC file, which can be mapped into memory."""

    def __init__(self, path: Path, schema: pa.Schema) -> None:
        super().__init__(path, schema)
        self._writer = pa.ipc.new_file(self._sink, schema)

    def _group(self, group: pa.Table) -> None:
        self._writer.write_table(group)

    def _end(self) -> None:
        self._writer.close()


class NdjsonFile(VectorFile):
    """NDJSON with a line `{"id", "embedding"}` for each image that did not fail."""

    def _group(self, group: pa.Table) -> None:
        options = orjson.OPT_SERIALIZE_NUMPY | orjson.OPT_APPEND_NEWLINE
        for name, vector in zip(*embedded(group), strict=True):
            self._files[0].write(orjson.dumps({"id": name, "embedding": vector}, option=options))


VECTOR_FILES: dict[str, type[VectorFile]] = {
    ".npy": NpyFile,
    ".parquet": ParquetFile,
    ".arrow": ArrowFile,
    ".ndjson": NdjsonFile,
}
"""By the suffix of the file's name."""


def embedded(rows: pa.Table) -> tuple[list[str], NDArray[np.float32]]:
    """Take the ids and vectors [N, D] of the images that did not fail."""
    found = rows.filter(rows["embedding"].is_valid())
    values: NDArray[np.float32] = pc.list_flatten(found["embedding"]).to_numpy()
    dimensions = rows.schema.field("embedding").type.list_size
    return [str(one) for one in found["id"].to_pylist()], values.reshape(-1, dimensions)


def _one_line(name: str) -> str:
    """Write a name, which may hold line breaks, as one line."""
    return name.replace("\n", "\\n").replace("\r", "\\r") + "\n"
