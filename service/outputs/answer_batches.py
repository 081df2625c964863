"""Answers of a stream as Arrow: a record batch for each chunk, then one without rows for the summary."""

from collections.abc import Sequence
from io import BytesIO
from typing import Any

import numpy as np
import orjson
import pyarrow as pa
from numpy.typing import NDArray

from contract.card import ModelCard
from contract.map_kinds import MapKind
from service.errors import ServiceError
from service.outputs.accept import ARROW
from service.outputs.arrays import MODEL_KEY
from service.outputs.lines import failure_json, summary_json
from service.streaming.answers import Answer, Tally


class AnswerBatches:
    """Writer of the columns `index`, `id`, `status`, `error_code`, `error_message`, `embedding` and `mi_map`.

    The last two are written where they are asked for. They are fixed_size_list<float32>, a map row by row,
    and null where an item failed. The last batch has no rows. Its metadata hold `summary` and, where the
    stream broke off, `error`, each as the JSON of the corresponding NDJSON line.
    """

    media_type = ARROW

    def __init__(
        self,
        card: ModelCard,
        outputs: Sequence[str],
        kind: MapKind = MapKind.INFORMATION,
        resolution: int = 1,
    ) -> None:
        """Begin the stream; `outputs` may name `embedding` and `mi_map`, a map of this kind."""
        grid = card.patch_grid.finer(resolution)
        sizes = {"embedding": card.shapes.embedding, "mi_map": grid.rows * grid.columns}
        self._sizes = {name: sizes[name] for name in sizes if name in outputs}
        fields: list[pa.Field[Any]] = [
            pa.field("index", pa.int64(), nullable=False),
            pa.field("id", pa.string(), nullable=False),
            pa.field("status", pa.string(), nullable=False),
            pa.field("error_code", pa.string()),
            pa.field("error_message", pa.string()),
            *(pa.field(name, pa.list_(pa.float32(), size)) for name, size in self._sizes.items()),
        ]
        metadata: dict[bytes | str, bytes | str] = {
            MODEL_KEY: card.id.encode(),
            b"infomax.mi_map": f"{grid.rows}x{grid.columns}".encode(),
        }
        if "mi_map" in outputs:
            metadata[b"infomax.mi_map.kind"] = kind.encode()
            metadata[b"infomax.mi_map.unit"] = kind.meaning.unit.encode()
        self._schema = pa.schema(fields, metadata=metadata)
        self._sink = BytesIO()
        self._writer = pa.ipc.new_stream(self._sink, self._schema)

    def answers(self, answers: Sequence[Answer]) -> bytes:
        """Write the answers of a chunk."""
        self._writer.write_batch(self._batch(answers))
        return self._written()

    def end(self, tally: Tally, failure: ServiceError | None) -> bytes:
        """Write the summary, and the error that ended the stream early."""
        metadata = {b"summary": orjson.dumps(summary_json(tally, complete=failure is None))}
        if failure is not None:
            metadata[b"error"] = orjson.dumps(failure_json(failure))
        self._writer.write_batch(self._batch([]), custom_metadata=metadata)
        self._writer.close()
        return self._written()

    def _batch(self, answers: Sequence[Answer]) -> pa.RecordBatch:
        failures = [answer.failed for answer in answers]
        columns = [
            pa.array([answer.index for answer in answers], pa.int64()),
            pa.array([answer.id for answer in answers], pa.string()),
            pa.array(["ok" if failed is None else "error" for failed in failures], pa.string()),
            pa.array([None if failed is None else failed.code for failed in failures], pa.string()),
            pa.array([None if failed is None else failed.message for failed in failures], pa.string()),
            *(
                _column([_numbers(answer, name) for answer in answers], size)
                for name, size in self._sizes.items()
            ),
        ]
        return pa.record_batch(columns, schema=self._schema)

    def _written(self) -> bytes:
        data = self._sink.getvalue()
        self._sink.seek(0)
        self._sink.truncate()
        return data


def _numbers(answer: Answer, name: str) -> NDArray[np.float32] | None:
    if name == "embedding":
        return answer.embedding
    return None if answer.mi_map is None else answer.mi_map.values


def _column(arrays: Sequence[NDArray[np.float32] | None], size: int) -> "pa.Array[Any]":
    """Make a column of arrays of `size` numbers each; None becomes null."""
    values = np.zeros((len(arrays), size), np.float32)
    missing = np.zeros(len(arrays), np.bool_)
    for row, array in enumerate(arrays):
        if array is None:
            missing[row] = True
        else:
            values[row] = array.ravel()
    return pa.FixedSizeListArray.from_arrays(pa.array(values.ravel()), size, mask=pa.array(missing))
