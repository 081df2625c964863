"""Which columns of a Parquet file are images and classes, in the layouts that the field uses.

Images: a column `img` or `image`, a struct with `bytes` (the encoded image) and `path`, or the bytes or paths
alone. Classes: a column `label`, `labels` or `fine_label` of integers, whose names may stand in the file's
`huggingface` metadata, or of texts.
"""

import json
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from training.errors import DataError

IMAGE_COLUMNS = ("img", "image")
LABEL_COLUMN = "label"
LABEL_COLUMNS = (LABEL_COLUMN, "labels", "fine_label")
METADATA_KEY = b"huggingface"


@dataclass(frozen=True)
class Columns:
    """Columns of one file that are used, and those that are not.

    Attributes:
        image: name of the column of images.
        label: name of the column of classes; None where there is none.
        unused: names of all others.
    """

    image: str
    label: str | None
    unused: tuple[str, ...]


def class_metadata(class_names: tuple[str, ...], image_column: str) -> dict[bytes | str, bytes | str]:
    """Write schema metadata that names the classes as Hugging Face's `datasets` does."""
    label = {"names": list(class_names), "_type": "ClassLabel"}
    features = {image_column: {"_type": "Image"}, LABEL_COLUMN: label}
    return {METADATA_KEY: json.dumps({"info": {"features": features}}).encode()}


def find_columns(name: str, schema: pa.Schema) -> Columns:
    """Find the columns of images and classes.

    Args:
        name: of the file, for messages.
        schema: of it.

    Raises:
        DataError: there is no column of images.
    """
    image = next((column for column in IMAGE_COLUMNS if column in schema.names), None)
    if image is None:
        raise DataError(
            f"{name} has the columns {', '.join(schema.names)}; the images must be in a column named "
            f"{' or '.join(IMAGE_COLUMNS)}, the classes, if any, in {', '.join(LABEL_COLUMNS[:-1])} or "
            f"{LABEL_COLUMNS[-1]}."
        )
    kind = schema.field(image).type
    if not (_is_bytes(kind) or _is_text(kind) or _has_bytes_or_path(kind)):
        raise DataError(
            f"The column {image} of {name} is {kind}. It must be a struct with the member bytes, which holds "
            "the encoded image, or with path; or bytes or paths alone."
        )
    label = next((c for c in LABEL_COLUMNS if c in schema.names and _may_be_classes(c, schema)), None)
    return Columns(image, label, tuple(c for c in schema.names if c not in (image, label)))


def read_labels(name: str, file: pq.ParquetFile, column: str) -> NDArray[np.int64] | NDArray[np.str_]:
    """Read the classes of one file: integers, or texts.

    Raises:
        DataError: some row has none, or one below -1.
    """
    values = file.read(columns=[column]).column(column)
    if pa.types.is_dictionary(values.type):
        values = values.cast(values.type.value_type)
    if not (pa.types.is_integer(values.type) or _is_text(values.type)) or values.null_count:
        raise DataError(
            f"The column {column} of {name} is {values.type} with {values.null_count} nulls. It must hold an "
            "integer or a text in every row, or be left out."
        )
    if _is_text(values.type):
        return np.array(values.to_pylist(), np.str_)
    labels: NDArray[np.int64] = values.to_numpy().astype(np.int64)
    return labels


def names_in_metadata(schema: pa.Schema, column: str) -> tuple[str, ...] | None:
    """Read the names of the classes from the file's metadata; None where it has none."""
    try:
        record = json.loads((schema.metadata or {})[METADATA_KEY])
        return tuple(str(name) for name in record["info"]["features"][column]["names"])
    except (KeyError, TypeError, ValueError):
        return None


def _may_be_classes(column: str, schema: pa.Schema) -> bool:
    """Tell whether a column holds classes; one that is called label is checked when it is read."""
    kind = schema.field(column).type
    if pa.types.is_dictionary(kind):
        kind = kind.value_type
    return column == LABEL_COLUMN or pa.types.is_integer(kind) or _is_text(kind)


def _has_bytes_or_path(kind: pa.DataType) -> bool:
    return pa.types.is_struct(kind) and any(member.name in ("bytes", "path") for member in kind)


def _is_bytes(kind: pa.DataType) -> bool:
    return pa.types.is_binary(kind) or pa.types.is_large_binary(kind)


def _is_text(kind: pa.DataType) -> bool:
    return pa.types.is_string(kind) or pa.types.is_large_string(kind)
