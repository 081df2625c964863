"""A Parquet file in the layout the field uses for image data sets.

One column `img` or `image`, a struct with the member `bytes` (the encoded image) and perhaps `path`;
perhaps a column `label` of integers, whose names may stand in the file's `huggingface` metadata.
"""

import hashlib
import json
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from training.data.source import EncodedImage, Source
from training.errors import DataError

IMAGE_COLUMNS = ("img", "image")
LABEL_COLUMN = "label"
METADATA_KEY = b"huggingface"
_ROWS_AT_ONCE = 1024


def open_parquet(path: Path) -> Source:
    """Read the schema and the labels of a Parquet file; images are read as they are asked for.

    A file whose labels are all -1, as data sets publish their secret test splits, counts as unlabelled.

    Raises:
        DataError: the file is unreadable or empty, has other columns, or labels that are no classes.
    """
    try:
        with pq.ParquetFile(path) as file:
            schema, count = file.schema_arrow, file.metadata.num_rows
            image_column = _image_column(path, schema)
            labels = _labels(path, file)
    except (pa.ArrowException, OSError) as error:
        raise _unreadable(path, error) from error
    if count == 0:
        raise DataError(f"{path} has 0 rows; at least one image is needed.")
    status = path.stat()
    identity = f"{path.resolve()}\0{status.st_size}\0{status.st_mtime_ns}"
    return Source(
        path=str(path),
        count=count,
        labels=labels,
        class_names=() if labels is None else _class_names(path, schema, labels),
        fingerprint=hashlib.sha256(identity.encode("utf-8", "surrogateescape")).hexdigest(),
        images=partial(_images, path, image_column),
    )


def class_metadata(class_names: tuple[str, ...], image_column: str) -> dict[bytes | str, bytes | str]:
    """Write schema metadata that names the classes as Hugging Face's `datasets` does."""
    label = {"names": list(class_names), "_type": "ClassLabel"}
    features = {image_column: {"_type": "Image"}, LABEL_COLUMN: label}
    return {METADATA_KEY: json.dumps({"info": {"features": features}}).encode()}


def _image_column(path: Path, schema: pa.Schema) -> str:
    for name in IMAGE_COLUMNS:
        if name in schema.names:
            kind = schema.field(name).type
            if pa.types.is_struct(kind) and any(member.name == "bytes" for member in kind):
                return name
            raise DataError(
                f"The column {name} of {path} is {kind}; it must be a struct with the member bytes, "
                "which holds the encoded image."
            )
    raise DataError(
        f"{path} has the columns {', '.join(schema.names)}; the images must be in a column named "
        f"{' or '.join(IMAGE_COLUMNS)}, the classes, if any, in {LABEL_COLUMN}."
    )


def _labels(path: Path, file: pq.ParquetFile) -> NDArray[np.int64] | None:
    if LABEL_COLUMN not in file.schema_arrow.names:
        return None
    column = file.read(columns=[LABEL_COLUMN]).column(LABEL_COLUMN)
    if not pa.types.is_integer(column.type) or column.null_count:
        raise DataError(
            f"The column {LABEL_COLUMN} of {path} is {column.type} with {column.null_count} nulls; "
            "it must hold an integer in every row, or be left out."
        )
    labels = column.to_numpy().astype(np.int64)
    if (labels == -1).all():
        return None
    if labels.min() < 0:
        raise DataError(f"The smallest {LABEL_COLUMN} in {path} is {labels.min()}; classes count from 0.")
    return labels


def _class_names(path: Path, schema: pa.Schema, labels: NDArray[np.int64]) -> tuple[str, ...]:
    """Return the names in the metadata, otherwise the numbers themselves."""
    largest = int(labels.max())
    try:
        record = json.loads((schema.metadata or {})[METADATA_KEY])
        names = tuple(str(name) for name in record["info"]["features"][LABEL_COLUMN]["names"])
    except (KeyError, TypeError, ValueError):
        return tuple(str(label) for label in range(largest + 1))
    if largest >= len(names):
        raise DataError(
            f"{path} has the {LABEL_COLUMN} {largest}, but names only {len(names)} classes in its metadata."
        )
    return names


def _images(path: Path, column: str) -> Iterator[EncodedImage]:
    row = 0
    try:
        with pq.ParquetFile(path) as file:
            for batch in file.iter_batches(_ROWS_AT_ONCE, columns=[column]):
                for record in batch.column(0).to_pylist():
                    record = record or {}
                    data = record.get("bytes") or b""
                    yield EncodedImage(record.get("path") or f"row {row}", partial(bytes, data))
                    row += 1
    except (pa.ArrowException, OSError) as error:
        raise _unreadable(path, error) from error


def _unreadable(path: Path, error: Exception) -> DataError:
    reason = " ".join(str(error).split())  # Arrow's messages have several lines.
    return DataError(f"{path} is no readable Parquet file ({reason}); write or download it again.")
