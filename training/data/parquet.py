"""Parquet files of images: one, or the shards of one set."""

import hashlib
import logging
import os
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from training.data.files import displayed, read_file
from training.data.parquet_columns import Columns, find_columns, names_in_metadata, read_labels
from training.data.parquet_rows import named_files, open_file, read_rows
from training.data.source import EncodedImage, Source
from training.errors import DataError

_log = logging.getLogger(__name__)


def open_parquet(paths: Sequence[Path], name: str) -> Source:
    """Read schema and labels of Parquet files; images are read as they are asked for.

    Files whose labels are all -1, as data sets publish their secret test splits, count as unlabelled.

    Args:
        paths: one or more files of the same columns.
        name: what the user named.

    Raises:
        DataError: a file is unreadable or has other columns, labels are not classes, or there is no row.
    """
    schemas: list[pa.Schema] = []
    columns: list[Columns] = []
    labels: list[NDArray[Any]] = []
    count = 0
    digest = hashlib.sha256()
    for path in paths:
        try:
            with open_file(path) as file:
                schemas.append(file.schema_arrow)
                columns.append(find_columns(displayed(path), file.schema_arrow))
                if columns[-1].label is not None:
                    labels.append(read_labels(displayed(path), file, columns[-1].label))
                count += file.metadata.num_rows
                digest.update(_identity(path, file, columns[-1].image))
        except (pa.ArrowException, OSError) as error:
            raise _unreadable(path, error) from error
        if columns[-1] != columns[0]:
            raise DataError(
                f"{displayed(path)} has other columns than {displayed(paths[0])}. Name files of one set."
            )
    if count == 0:
        raise DataError(f"{name} has 0 rows. At least one image is needed.")
    if columns[0].unused:
        _log.warning("columns of %s that are not used: %s", name, ", ".join(columns[0].unused))
    numbers, class_names = _classes(name, schemas, columns[0].label, labels)
    return Source(
        path=name,
        count=count,
        labels=numbers,
        class_names=class_names,
        fingerprint=digest.hexdigest(),
        images=partial(_images, tuple(paths), columns[0].image),
    )


def _classes(
    name: str, schemas: Sequence[pa.Schema], column: str | None, labels: Sequence[NDArray[Any]]
) -> tuple[NDArray[np.int64] | None, tuple[str, ...]]:
    """Number the classes and name them: as the metadata does, by their texts, or by their numbers."""
    if column is None:
        return None, ()
    values = np.concatenate(list(labels))
    if values.dtype.kind == "U":
        texts, numbers = np.unique(values, return_inverse=True)
        return numbers.astype(np.int64), tuple(texts.tolist())
    if (values == -1).all():
        return None, ()
    if values.min() < 0:
        raise DataError(f"The smallest {column} in {name} is {values.min()}. Classes count from 0.")
    named = {names for schema in schemas if (names := names_in_metadata(schema, column)) is not None}
    if len(named) > 1:
        raise DataError(f"The files of {name} name their classes differently. Name files of one set.")
    largest = int(values.max())
    if not named:
        return values, tuple(str(label) for label in range(largest + 1))
    (names,) = named
    if largest >= len(names):
        raise DataError(
            f"{name} has the {column} {largest}, but names only {len(names)} classes in its metadata."
        )
    return values, names


def _identity(path: Path, file: pq.ParquetFile, column: str) -> bytes:
    """Digest what changes when the file does, or a file that its rows name."""
    digest = hashlib.sha256(os.fsencode(path.resolve()))
    for each in (path, *(path.parent / name for name in named_files(file, column))):
        try:
            status = each.stat()
        except OSError:
            # An unreadable image, reported with the others later.
            continue
        digest.update(b"\0" + os.fsencode(each))
        digest.update(f"\0{status.st_size}\0{status.st_mtime_ns}".encode())
    return digest.digest()


def _images(paths: Sequence[Path], column: str) -> Iterator[EncodedImage]:
    for path in paths:
        of_file = f"{displayed(path.name)} " if len(paths) > 1 else ""
        try:
            with open_file(path) as file:
                for number, row in enumerate(read_rows(file, column)):
                    name = displayed(row.path) if row.path else f"{of_file}row {number}"
                    if row.data or not row.path:
                        yield EncodedImage(name, partial(bytes, row.data or b""))
                    else:
                        yield EncodedImage(name, partial(read_file, path.parent / row.path))
        except (pa.ArrowException, OSError) as error:
            raise _unreadable(path, error) from error


def _unreadable(path: Path, error: Exception) -> DataError:
    reason = " ".join(str(error).split())  # Arrow's messages have several lines.
    return DataError(
        f"{displayed(path)} is not a readable Parquet file ({reason}). Write or download it again."
    )
