"""Originals of indexed images in a folder, named by their SHA-256 digests.

A file is on the disk before the item that names it is acknowledged. Equal images share a file, so that no
item's removal removes one: `infomax index clean` removes those that no item names.
"""

import hashlib
import os
import tempfile
import time
from collections.abc import Container
from pathlib import Path

from service.index.errors import IndexReadOnlyError

# A younger file may belong to an item that is about to be stored.
_YOUNG_SECONDS = 3600.0


class OriginalsFolder:
    """Folder of encoded images; several processes and machines may use it at once."""

    def __init__(self, folder: Path) -> None:
        """Make nothing yet."""
        self._folder = folder.absolute()

    def write(self, data: bytes) -> bytes:
        """Keep an encoded image; return its digest once it is on the disk.

        Raises:
            IndexReadOnlyError: the folder cannot be written to.
        """
        digest = hashlib.sha256(data).digest()
        path = self._path(digest)
        try:
            if not path.exists():
                path.parent.mkdir(parents=True, exist_ok=True)
                _write_whole(path, data)
        except OSError as error:
            raise IndexReadOnlyError(
                f"originals cannot be written to {self._folder}: {error.strerror or error}"
            ) from error
        return digest

    def read(self, digest: bytes) -> bytes | None:
        """Return an encoded image; None where it is missing."""
        try:
            return self._path(digest).read_bytes()
        except OSError:
            return None

    def clean(self, named: Container[bytes]) -> int:
        """Remove the files whose digests are not `named`, except the last hour's; return their number."""
        removed = 0
        for path in self._folder.glob("??/*"):
            try:
                unnamed = bytes.fromhex(path.name) not in named
            except ValueError:
                # Left by a process that was killed while it wrote.
                unnamed = path.name.endswith(".part")
            if unnamed and time.time() - path.stat().st_mtime > _YOUNG_SECONDS:
                path.unlink(missing_ok=True)
                removed += 1
        return removed

    def _path(self, digest: bytes) -> Path:
        name = digest.hex()
        return self._folder / name[:2] / name


def _write_whole(path: Path, data: bytes) -> None:
    """Write a file that appears whole, and is on the disk on return."""
    handle, name = tempfile.mkstemp(".part", dir=path.parent)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        Path(name).replace(path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
