"""Arrays as bytes: NumPy's file format and Arrow's stream."""

from io import BytesIO
from typing import Any

import numpy as np
from numpy.typing import NDArray

MODEL_KEY = b"infomax.model"


def npy(array: NDArray[Any]) -> bytes:
    """Write an array as `numpy.load` reads it, without pickles."""
    file = BytesIO()
    np.lib.format.write_array(file, np.ascontiguousarray(array), allow_pickle=False)
    return file.getvalue()


def arrow_stream(embeddings: NDArray[np.float32], model: str) -> bytes:
    """Write embeddings [N, D] as an Arrow IPC stream of one record batch.

    Columns are `index` int64 and `embedding` fixed_size_list<float32>[D]; the schema's metadata names the
    model under `infomax.model`.
    """
    # PyArrow takes 26 MiB of each worker that is asked for Arrow, and of no other.
    import pyarrow as pa

    count, dimensions = embeddings.shape
    schema = pa.schema(
        [
            pa.field("index", pa.int64(), nullable=False),
            pa.field("embedding", pa.list_(pa.float32(), dimensions), nullable=False),
        ],
        metadata={MODEL_KEY: model.encode()},
    )
    columns = [
        pa.array(np.arange(count, dtype=np.int64)),
        pa.FixedSizeListArray.from_arrays(pa.array(embeddings.ravel()), dimensions),
    ]
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, schema) as stream:
        stream.write_batch(pa.record_batch(columns, schema=schema))
    return sink.getvalue().to_pybytes()
