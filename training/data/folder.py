"""A folder of images; its sub-folders, where it has any, are the classes."""

import hashlib
import logging
import os
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from training.data.files import displayed, read_file
from training.data.listing import Listing
from training.data.source import EncodedImage, Source
from training.data.splits import split_folders

_log = logging.getLogger(__name__)


def open_folder(folder: Path, listing: Listing) -> Source:
    """Open the images of a folder.

    An image's class is the first folder on its way down; classes are numbered in the order of their
    names. As soon as one image lies beside the sub-folders, the whole folder counts as unlabelled.

    Args:
        folder: as the user named it.
        listing: what lies in it, at least one image.
    """
    paths = listing.images
    labels: NDArray[np.int64] | None = None
    class_names: tuple[str, ...] = ()
    loose = next((path for path in paths if len(path.parts) == 1), None)
    if loose is None:
        classes = [path.parts[0] for path in paths]
        known = sorted(set(classes), key=os.fsencode)
        number = {name: label for label, name in enumerate(known)}
        class_names = tuple(displayed(name) for name in known)
        labels = np.array([number[name] for name in classes], np.int64)
        _warn_of_splits(folder, known)
    elif any(len(path.parts) > 1 for path in paths):
        _log.warning(
            "%s lies beside the sub-folders of %s, so these are not taken as classes",
            displayed(loose),
            displayed(folder),
        )
    return Source(
        path=displayed(folder),
        count=len(paths),
        labels=labels,
        class_names=class_names,
        fingerprint=_fingerprint(folder, paths),
        images=partial(_images, folder, paths),
    )


def _warn_of_splits(folder: Path, names: list[str]) -> None:
    """Warn where the classes are parts of a set by their names: figures by such labels say nothing."""
    found = split_folders(names)
    if not found:
        return
    one = next((name for name in found if name.lower().startswith("train")), found[0])
    _log.warning(
        "%s in %s: taken as classes, though they look like parts of a set. Name one of them, such as %s.",
        ", ".join(found),
        displayed(folder),
        displayed(folder / one),
    )


def _fingerprint(folder: Path, paths: list[Path]) -> str:
    digest = hashlib.sha256(os.fsencode(folder.resolve()))
    for path in paths:
        try:
            status = (folder / path).stat()
        except OSError:
            # A link to nothing is an unreadable image, reported with the others later.
            status = (folder / path).lstat()
        digest.update(b"\0" + os.fsencode(path.as_posix()))
        digest.update(f"\0{status.st_size}\0{status.st_mtime_ns}".encode())
    return digest.hexdigest()


def _images(folder: Path, paths: list[Path]) -> Iterator[EncodedImage]:
    for path in paths:
        yield EncodedImage(displayed(path.as_posix()), partial(read_file, folder / path))
