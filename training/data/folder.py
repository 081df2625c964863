"""A folder of images; its sub-folders, where it has any, are the classes."""

import hashlib
import logging
import os
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from training.data.source import EncodedImage, Source
from training.errors import DataError

SUFFIXES = frozenset({".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".webp", ".bmp", ".gif"})

_log = logging.getLogger(__name__)


def open_folder(folder: Path) -> Source:
    """List the images under `folder`, at any depth, hidden files and folders left out.

    An image's class is the first folder on its way down; classes are numbered in the order of their
    names. As soon as one image lies beside the sub-folders, the whole folder counts as unlabelled.

    Raises:
        DataError: there is no file with an image's suffix.
    """
    paths = sorted(_visible_images(folder), key=lambda path: path.as_posix())
    if not paths:
        raise DataError(
            f"{folder} holds no image; accepted are files ending in {', '.join(sorted(SUFFIXES))}, and "
            "Parquet files when they are named themselves."
        )
    labels: NDArray[np.int64] | None = None
    class_names: tuple[str, ...] = ()
    loose = next((path for path in paths if len(path.parts) == 1), None)
    if loose is None:
        classes = [path.parts[0] for path in paths]
        class_names = tuple(sorted(set(classes)))
        number = {name: label for label, name in enumerate(class_names)}
        labels = np.array([number[name] for name in classes], np.int64)
    elif any(len(path.parts) > 1 for path in paths):
        _log.warning("%s lies beside the sub-folders of %s, so these are not taken as classes", loose, folder)
    return Source(
        path=str(folder),
        count=len(paths),
        labels=labels,
        class_names=class_names,
        fingerprint=_fingerprint(folder, paths),
        images=partial(_images, folder, paths),
    )


def _visible_images(folder: Path) -> Iterator[Path]:
    """Walk the folder; paths are relative to it."""
    for parent, folders, files in os.walk(folder):
        folders[:] = [name for name in folders if not name.startswith(".")]
        for name in files:
            if not name.startswith(".") and Path(name).suffix.lower() in SUFFIXES:
                yield (Path(parent) / name).relative_to(folder)


def _fingerprint(folder: Path, paths: list[Path]) -> str:
    digest = hashlib.sha256(str(folder.resolve()).encode())
    for path in paths:
        # Not `stat`: a link to nothing is an unreadable image, reported with the others later.
        status = (folder / path).lstat()
        digest.update(
            f"\0{path.as_posix()}\0{status.st_size}\0{status.st_mtime_ns}".encode("utf-8", "surrogateescape")
        )
    return digest.hexdigest()


def _images(folder: Path, paths: list[Path]) -> Iterator[EncodedImage]:
    for path in paths:
        yield EncodedImage(path.as_posix(), (folder / path).read_bytes)
