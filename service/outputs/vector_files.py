"""Files of embeddings: NumPy, Parquet or NDJSON. They appear under their name when they are complete."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType

import numpy as np
import orjson
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from contract.card import ModelCard
from service.outputs.arrays import MODEL_KEY

_ROWS_PER_GROUP = 8192


class VectorFile(ABC):
    """File that is being written. Where an exception ends the writing, no file is left."""

    def __init__(self, out: Path, card: ModelCard) -> None:
        """Begin the file `out` of vectors of the model of this card."""
        self._out = out
        self._card = card

    def __enter__(self) -> "VectorFile":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        complete = False
        try:
            self.close()
            complete = kind is None
        finally:
            for part, whole in self.parts.items():
                if complete:
                    part.replace(whole)
                else:
                    part.unlink(missing_ok=True)

    @property
    def parts(self) -> dict[Path, Path]:
        """List the temporary files, and the names that they get."""
        return {_part(self._out): self._out}

    @abstractmethod
    def write(self, names: Sequence[str], vectors: NDArray[np.float32]) -> None:
        """Append the vectors [N, D], with a name for each."""

    @abstractmethod
    def close(self) -> None:
        """Complete the file."""


class NpyFile(VectorFile):
    """`out.npy` with float32 [N, D], and `out.txt` with the N names, one per line."""

    def __init__(self, out: Path, card: ModelCard) -> None:
        super().__init__(out, card)
        self._rows = 0
        self._vectors = _part(out).open("wb")
        self._names = _part(out.with_suffix(".txt")).open("w", encoding="utf-8", newline="\n")
        self._write_header()

    @property
    def parts(self) -> dict[Path, Path]:
        names = self._out.with_suffix(".txt")
        # The vectors last: where they exist, their names do.
        return {_part(names): names, **super().parts}

    def write(self, names: Sequence[str], vectors: NDArray[np.float32]) -> None:
        self._rows += len(names)
        self._vectors.write(vectors.astype("<f4", copy=False).tobytes())
        self._names.writelines(_one_line(name) for name in names)

    def close(self) -> None:
        self._vectors.seek(0)
        self._write_header()
        self._vectors.close()
        self._names.close()

    def _write_header(self) -> None:
        """Write the header. NumPy leaves space in it for any number of rows."""
        shape = (self._rows, self._card.shapes.embedding)
        header = {"descr": "<f4", "fortran_order": False, "shape": shape}
        np.lib.format.write_array_header_1_0(self._vectors, header)


class ParquetFile(VectorFile):
    """Columns `id` string and `embedding` fixed_size_list<float32>[D]; the schema names the model."""

    def __init__(self, out: Path, card: ModelCard) -> None:
        super().__init__(out, card)
        self._schema = pa.schema(
            [
                pa.field("id", pa.string(), nullable=False),
                pa.field("embedding", pa.list_(pa.float32(), card.shapes.embedding), nullable=False),
            ],
            metadata={MODEL_KEY: card.id.encode()},
        )
        # Opened here: Arrow opens no file whose name is not UTF-8.
        self._file = _part(out).open("wb")
        self._writer = pq.ParquetWriter(self._file, self._schema)
        self._waiting: list[pa.RecordBatch] = []

    def write(self, names: Sequence[str], vectors: NDArray[np.float32]) -> None:
        values = pa.array(vectors.ravel())
        embeddings = pa.FixedSizeListArray.from_arrays(values, self._card.shapes.embedding)
        self._waiting.append(pa.record_batch([pa.array(names, pa.string()), embeddings], schema=self._schema))
        if sum(batch.num_rows for batch in self._waiting) >= _ROWS_PER_GROUP:
            self._write_group()

    def close(self) -> None:
        self._write_group()
        self._writer.close()
        self._file.close()

    def _write_group(self) -> None:
        if self._waiting:
            self._writer.write_table(pa.Table.from_batches(self._waiting, self._schema))
            self._waiting.clear()


class NdjsonFile(VectorFile):
    """NDJSON with a line `{"id", "embedding"}` for each image."""

    def __init__(self, out: Path, card: ModelCard) -> None:
        super().__init__(out, card)
        self._file = _part(out).open("wb")

    def write(self, names: Sequence[str], vectors: NDArray[np.float32]) -> None:
        options = orjson.OPT_SERIALIZE_NUMPY | orjson.OPT_APPEND_NEWLINE
        for name, vector in zip(names, vectors, strict=True):
            self._file.write(orjson.dumps({"id": name, "embedding": vector}, option=options))

    def close(self) -> None:
        self._file.close()


VECTOR_FILES: dict[str, type[VectorFile]] = {
    ".npy": NpyFile,
    ".parquet": ParquetFile,
    ".ndjson": NdjsonFile,
}
"""By the suffix of the file's name."""


def own_files(out: Path) -> frozenset[Path]:
    """List the files that writing `out` may make or replace."""
    files = (out, out.with_suffix(".txt"))
    return frozenset((*files, *map(_part, files)))


def _part(path: Path) -> Path:
    return path.with_name(path.name + ".part")


def _one_line(name: str) -> str:
    """Write a name, which may hold line breaks, as one line."""
    return name.replace("\n", "\\n").replace("\r", "\\r") + "\n"
