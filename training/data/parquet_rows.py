"""Rows of a Parquet file of images, read a few megabytes at a time."""

from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pyarrow as pa
import pyarrow.parquet as pq

# Encoded bytes that are read at once: photographs take a thousand times what small images take.
_BYTES_AT_ONCE = 2**25
_MOST_ROWS_AT_ONCE = 1024
_BUFFER = 2**20


class Row(NamedTuple):
    """One image: its encoded bytes, or the file that holds them; both may be missing."""

    data: bytes | None
    path: str | None


def open_file(path: Path) -> pq.ParquetFile:
    """Open a file so that a row group of gigabytes is not read at once.

    Raises:
        pa.ArrowException, OSError: it cannot be read.
    """
    return pq.ParquetFile(path, buffer_size=_BUFFER, pre_buffer=False)


def read_rows(file: pq.ParquetFile, column: str) -> Iterator[Row]:
    """Read all rows of a column of images in order.

    Raises:
        pa.ArrowException, OSError: the file is damaged.
    """
    for batch in file.iter_batches(_rows_at_once(file), columns=[column]):
        for record in batch.column(0).to_pylist():
            if isinstance(record, dict):
                yield Row(record.get("bytes"), record.get("path"))
            elif isinstance(record, str):
                yield Row(None, record)
            else:
                yield Row(record, None)


def named_files(file: pq.ParquetFile, column: str) -> Iterator[str]:
    """List the files that rows name in place of bytes; those of all rows, where some may lack them.

    Raises:
        pa.ArrowException, OSError: the file is damaged.
    """
    kind = file.schema_arrow.field(column).type
    if pa.types.is_struct(kind):
        members = {member.name for member in kind}
        if "path" not in members or ("bytes" in members and not _lacks_bytes(file, f"{column}.bytes")):
            return
        column = f"{column}.path"
    elif not (pa.types.is_string(kind) or pa.types.is_large_string(kind)):
        return
    for batch in file.iter_batches(_MOST_ROWS_AT_ONCE, columns=[column]):
        for record in batch.column(0).to_pylist():
            path = record.get("path") if isinstance(record, dict) else record
            if path:
                yield path


def _lacks_bytes(file: pq.ParquetFile, leaf: str) -> bool:
    """Tell whether some rows may have no bytes, by the statistics of the row groups."""
    for group in range(file.metadata.num_row_groups):
        for index in range(file.metadata.num_columns):
            chunk = file.metadata.row_group(group).column(index)
            statistics = chunk.statistics
            if chunk.path_in_schema == leaf and (statistics is None or statistics.null_count != 0):
                return True
    return False


def _rows_at_once(file: pq.ParquetFile) -> int:
    groups = (file.metadata.row_group(group) for group in range(file.metadata.num_row_groups))
    total = sum(group.total_byte_size for group in groups)
    bytes_a_row = max(1, total // max(1, file.metadata.num_rows))
    return max(1, min(_MOST_ROWS_AT_ONCE, _BYTES_AT_ONCE // bytes_a_row))
