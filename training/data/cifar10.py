"""The official CIFAR-10 archives (Krizhevsky 2009) to Parquet files with lossless images.

Both distributions hold the same images in the same order, so both give the same files:
`cifar-10-python.tar.gz`, whose batches are pickles, and `cifar-10-binary.tar.gz`, whose batches are bytes.
Nothing is extracted to disk.
"""

import tarfile
from collections.abc import Iterator
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path, PurePosixPath

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray
from PIL import Image

from contract.progress import Progress
from training.data.cifar10_pickle import read_batch, read_names
from training.data.parquet_columns import LABEL_COLUMN, class_metadata
from training.errors import DataError

SIDE = 32
_PIXELS = 3 * SIDE * SIDE
_TRAINING = tuple(f"data_batch_{number}" for number in range(1, 6))
_TEST = ("test_batch",)
_SPLITS = {"train.parquet": _TRAINING, "test.parquet": _TEST}
_IMAGE_COLUMN = "img"
# The largest member of either archive is 31 MB; more is no CIFAR-10, and gzip can hide any amount.
_MAX_MEMBER_BYTES = 64 * 2**20


@dataclass(frozen=True)
class Batch:
    """One batch file: planes uint8 [N, 3072], red before green before blue, and labels int64 [N]."""

    planes: NDArray[np.uint8]
    labels: NDArray[np.int64]


def convert(archive: Path, out: Path) -> Iterator[tuple[Path, int]]:
    """Write `train.parquet` and `test.parquet` into `out`; gives each path with its number of images.

    Raises:
        DataError: the archive is not one of the two official ones, or is damaged.
        OSError: `out` cannot be written.
    """
    batches, names = _read(archive)
    out.mkdir(parents=True, exist_ok=True)
    for file, members in _SPLITS.items():
        table = _table([(member, batches[member]) for member in members], names)
        partial = out / f".{file}.partial"
        pq.write_table(table, partial)
        partial.replace(out / file)
        yield out / file, table.num_rows


def _read(archive: Path) -> tuple[dict[str, Batch], tuple[str, ...]]:
    """Read every batch by its name, and the names of the classes."""
    batches: dict[str, Batch] = {}
    names: tuple[str, ...] = ()
    try:
        with tarfile.open(archive, "r|*") as tar, Progress("reading") as progress:
            for member in tar:
                stem, _, suffix = PurePosixPath(member.name).name.partition(".")
                is_batch = stem in _TRAINING + _TEST and suffix in ("", "bin")
                if not member.isfile() or not (is_batch or stem == "batches"):
                    continue
                if member.size > _MAX_MEMBER_BYTES:
                    raise DataError(
                        f"{member.name} in {archive} has {member.size:,} bytes: no CIFAR-10 batch."
                    )
                data = _content(tar, member)
                if is_batch:
                    batches[stem] = _checked(
                        member.name, _binary(data) if suffix else Batch(*read_batch(data))
                    )
                    progress.update(len(batches), len(_TRAINING + _TEST))
                else:
                    names = tuple(data.decode().split()) if suffix == "meta.txt" else read_names(data)
    except FileNotFoundError as error:
        raise DataError(f"There is no {archive}; it is the official CIFAR-10 archive.") from error
    except (tarfile.TarError, EOFError, OSError, UnicodeDecodeError) as error:
        raise DataError(f"{archive} is no readable tar.gz archive ({error}); download it again.") from error
    missing = [name for name in (*_TRAINING, *_TEST) if name not in batches] + ["batches.meta"] * (not names)
    if missing:
        raise DataError(
            f"{archive} has no {', '.join(missing)}: it is cut short or another archive; download "
            "cifar-10-python.tar.gz or cifar-10-binary.tar.gz again."
        )
    largest = max(int(batch.labels.max()) for batch in batches.values())
    if largest >= len(names):
        raise DataError(f"{archive} has the label {largest}, but names only {len(names)} classes.")
    return batches, names


def _content(tar: tarfile.TarFile, member: tarfile.TarInfo) -> bytes:
    file = tar.extractfile(member)
    assert file is not None  # noqa: S101  (only files are asked for)
    return file.read()


def _binary(data: bytes) -> Batch:
    """Parse records of one label byte and 3072 pixel bytes."""
    if not data or len(data) % (1 + _PIXELS):
        raise DataError(f"A binary batch has {len(data):,} bytes, which is no multiple of {1 + _PIXELS}.")
    records = np.frombuffer(data, np.uint8).reshape(-1, 1 + _PIXELS)
    return Batch(records[:, 1:], records[:, 0].astype(np.int64))


def _checked(name: str, batch: Batch) -> Batch:
    planes, labels = batch.planes, batch.labels
    if planes.ndim != 2 or planes.shape[1] != _PIXELS or labels.shape != (len(planes),) or not len(planes):
        raise DataError(
            f"{name} holds pixels {list(planes.shape)} and {len(labels)} labels; a CIFAR-10 batch has "
            f"[N, {_PIXELS}] and N of them."
        )
    if labels.min() < 0:
        raise DataError(f"{name} has the label {labels.min()}; classes count from 0.")
    return batch


def _table(batches: list[tuple[str, Batch]], names: tuple[str, ...]) -> pa.Table:
    images: list[dict[str, object]] = []
    total = sum(len(batch.labels) for _, batch in batches)
    with Progress("encoding") as progress:
        for name, batch in batches:
            for row, planes in enumerate(batch.planes):
                images.append({"bytes": _png(planes), "path": f"{name}/{row:05d}.png"})
                progress.update(len(images), total)
    labels = np.concatenate([batch.labels for _, batch in batches])
    schema = pa.schema(
        [
            (_IMAGE_COLUMN, pa.struct([("bytes", pa.binary()), ("path", pa.string())])),
            (LABEL_COLUMN, pa.int64()),
        ],
        metadata=class_metadata(names, _IMAGE_COLUMN),
    )
    return pa.table([pa.array(images, schema.field(0).type), pa.array(labels)], schema=schema)


def _png(planes: NDArray[np.uint8]) -> bytes:
    """Encode without loss: training decodes the very pixels of the archive."""
    file = BytesIO()
    Image.fromarray(np.ascontiguousarray(planes.reshape(3, SIDE, SIDE).transpose(1, 2, 0))).save(file, "PNG")
    return file.getvalue()
