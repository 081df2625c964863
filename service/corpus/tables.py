"""Images of Parquet files, in the layouts that training reads too."""

import json
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from contract.errors import InfomaxError
from service.corpus.image import CorpusImage
from service.inference.results import Failed
from service.inputs.folder import content_of
from service.inputs.image_buffer import image_too_large
from service.inputs.names import shown_path

_IMAGES = ("img", "image")
_LABELS = ("label", "labels", "fine_label")
_IDS = ("id", "key", "__key__")
# Rows with their images that are in memory at a time.
_ROWS = 64


class ColumnError(InfomaxError):
    """A Parquet file has no column of images."""


def table_images(path: Path, groups: range | None = None) -> Iterator[CorpusImage]:
    """Yield the images of a Parquet file, or of these row groups of it, in its order.

    Images are in a column `img` or `image`: a struct with `bytes` and `path`, or bytes or paths alone. The id
    is that of a column `id`, `key` or `__key__`, else the path, else the row. A label is written as text;
    names of classes in the metadata of Hugging Face's `datasets` replace numbers.

    Raises:
        ColumnError: there is no column of images.
    """
    # Opened here: Arrow opens no file whose name is not UTF-8.
    with path.open("rb") as opened, pq.ParquetFile(opened) as file:
        schema = file.schema_arrow
        image = _first(_IMAGES, schema)
        if image is None:
            raise ColumnError(
                f"{shown_path(path)} has the columns {', '.join(schema.names)}. "
                f"Name the column of images {' or '.join(_IMAGES)}."
            )
        label, name = _first(_LABELS, schema), _first(_IDS, schema)
        classes = _class_names(schema, label)
        columns = [one for one in (image, label, name) if one is not None]
        groups = range(file.num_row_groups) if groups is None else groups
        row = sum(file.metadata.row_group(group).num_rows for group in range(groups.start))
        for batch in file.iter_batches(batch_size=_ROWS, columns=columns, row_groups=[*groups]):
            for record in batch.to_pylist():
                yield _image(path, row, record[image], _text(record, name), _label(record, label, classes))
                row += 1


def count_rows(path: Path) -> int:
    """Read the number of rows."""
    with path.open("rb") as opened, pq.ParquetFile(opened) as file:
        return int(file.metadata.num_rows)


def row_groups(path: Path, size: int) -> Iterator[tuple[range, int]]:
    """Yield the row groups of a Parquet file, as many together as have `size` rows, and their rows."""
    with path.open("rb") as opened, pq.ParquetFile(opened) as file:
        rows = [file.metadata.row_group(group).num_rows for group in range(file.num_row_groups)]
    start = held = 0
    for group, count in enumerate(rows, 1):
        held += count
        if held >= size or group == len(rows):
            yield range(start, group), held
            start, held = group, 0


def _image(path: Path, row: int, value: Any, name: str | None, label: str | None) -> CorpusImage:
    data, where = (value.get("bytes"), value.get("path")) if isinstance(value, dict) else (value, None)
    if isinstance(data, str):
        data, where = None, data
    read = (
        partial(_content, data)
        if data is not None or where is None
        else partial(content_of, path.parent / where)
    )
    return CorpusImage(name or where or str(row), f"{shown_path(path)}/{row}", label, read)


def _content(data: bytes | None, limit: int) -> bytes | Failed:
    if data is None:
        return Failed("unreadable_file", "The row holds no image.")
    return data if len(data) <= limit else image_too_large(f"has more than {limit:,} bytes", limit)


def _first(names: tuple[str, ...], schema: pa.Schema) -> str | None:
    return next((name for name in names if name in schema.names), None)


def _text(record: dict[str, Any], column: str | None) -> str | None:
    value = None if column is None else record[column]
    return None if value is None else str(value)


def _label(record: dict[str, Any], column: str | None, classes: list[str]) -> str | None:
    value = None if column is None else record[column]
    if isinstance(value, int) and 0 <= value < len(classes):
        return classes[value]
    return None if value is None else str(value)


def _class_names(schema: pa.Schema, column: str | None) -> list[str]:
    try:
        record = json.loads((schema.metadata or {})[b"huggingface"])
        return [str(name) for name in record["info"]["features"][column]["names"]]
    except (KeyError, TypeError, ValueError):
        return []
