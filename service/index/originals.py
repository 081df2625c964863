"""Originals of indexed images in a folder, named by their SHA-256 digests.

A file is on the disk before the item that names it is acknowledged. Equal images share a file, so that no
item's removal removes one.
"""

import hashlib
import os
import tempfile
from pathlib import Path

from service.index.errors import IndexReadOnlyError


class OriginalsFolder:
    """Folder of encoded images; several processes and machines may use it at once.

    Attributes:
        path: the folder.
    """

    def __init__(self, folder: Path) -> None:
        """Make nothing yet."""
        self.path = folder.absolute()

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
                f"originals cannot be written to {self.path}: {error.strerror or error}"
            ) from error
        return digest

    def read(self, digest: bytes) -> bytes | None:
        """Return an encoded image; None where it is missing."""
        try:
            return self._path(digest).read_bytes()
        except OSError:
            return None

    def _path(self, digest: bytes) -> Path:
        name = digest.hex()
        return self.path / name[:2] / name


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
