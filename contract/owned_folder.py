"""Temporary folders that go with their owner; a later owner's start removes those of a killed one."""

import re
import shutil
import sys
import tempfile
from pathlib import Path
from types import TracebackType
from typing import BinaryIO, Self

_LOCK = "lock"


class OwnedFolder:
    """A new folder that one process owns, by a lock that ends with the process.

    Attributes:
        path: the folder, closed to other users. It holds the file `lock`.
    """

    def __init__(self, prefix: str, parent: Path | None = None) -> None:
        """Remove what killed owners left beside it, and make it.

        Args:
            prefix: of its name; folders with the same prefix and parent are swept.
            parent: the folder for temporary files, unless another is named.

        Raises:
            OSError: it cannot be made there.
        """
        parent = Path(tempfile.gettempdir()) if parent is None else parent
        _sweep(prefix, parent)
        self.path, self._lock = _create(prefix, parent)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Remove the folder and what is in it."""
        shutil.rmtree(self.path, ignore_errors=True)
        self._lock.close()


def _create(prefix: str, parent: Path) -> tuple[Path, BinaryIO]:
    while True:
        folder = Path(tempfile.mkdtemp(prefix=prefix, dir=parent))
        lock = (folder / _LOCK).open("wb")
        try:
            owned = _take(lock)
        except OSError:
            # A file system without locks, where no sweep removes anything.
            return folder, lock
        if owned and (folder / _LOCK).exists():
            return folder, lock
        # Another start has swept it before it was locked.
        lock.close()


def _sweep(prefix: str, parent: Path) -> None:
    """Remove the folders of owners that have ended without removing them."""
    # As tempfile names them.
    name = re.compile(rf"{re.escape(prefix)}[a-z0-9_]{{8}}")
    for folder in parent.glob(f"{prefix}*"):
        if not name.fullmatch(folder.name) or folder.is_symlink():
            continue
        try:
            with (folder / _LOCK).open("r+b") as lock:
                if _take(lock):
                    shutil.rmtree(folder, ignore_errors=True)
        except OSError:
            # Another user's, or removed in the meantime.
            continue


def _take(lock: BinaryIO) -> bool:
    if sys.platform == "win32":
        raise OSError("Windows has another kind of lock")
    import fcntl

    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
