"""Temporary folders for the sockets and counters of one run; a later run removes those of a killed one."""

import os
import re
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import BinaryIO

from contract.errors import InfomaxError

_PREFIX = "infomax-run-"
_NAME = re.compile(rf"{_PREFIX}[a-z0-9_]{{8}}")
_LOCK = "lock"
_OTHER_PLACES = ("/tmp", "/var/tmp", "/dev/shm")  # noqa: S108
# The path of a Unix socket has room for 103 bytes on macOS and 107 on Linux, with the file's name in it.
_LONGEST_BYTES = 103 - len("/.s.PGSQL.5432.lock")


class NoRunFolderError(InfomaxError):
    """No folder on this machine can hold the sockets of a run."""


class RunFolder:
    """A folder with a short path that one process owns, by a lock that ends with the process.

    `TMPDIR` is taken where it suits. PostgreSQL's clients split a path at commas.

    Attributes:
        path: the folder, closed to other users.
    """

    def __init__(self) -> None:
        self.path, self._lock = _create()

    def __enter__(self) -> "RunFolder":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Remove the folder and what is in it."""
        shutil.rmtree(self.path, ignore_errors=True)
        self._lock.close()


def _create() -> tuple[Path, BinaryIO]:
    reasons = []
    for parent in _parents():
        if "," in str(parent):
            reasons.append(f"{parent} has a comma in its name")
        elif len(os.fsencode(parent)) + len(f"/{_PREFIX}xxxxxxxx") > _LONGEST_BYTES:
            reasons.append(f"{parent} is too long a path for a socket")
        else:
            try:
                _sweep(parent)
                return _create_in(parent)
            except OSError as error:
                reasons.append(f"{parent}: {error.strerror}")
    raise NoRunFolderError(
        f"The sockets of this run have no folder ({'; '.join(reasons)}). Set TMPDIR to a writable folder "
        "whose path is short and has no comma."
    )


def _parents() -> Iterator[Path]:
    """Every folder that may do, the most suitable first."""
    places = [*_OTHER_PLACES]
    with suppress(FileNotFoundError):
        places.insert(0, tempfile.gettempdir())
    for place in dict.fromkeys(places):
        if Path(place).is_dir():
            yield Path(place).absolute()


def _create_in(parent: Path) -> tuple[Path, BinaryIO]:
    while True:
        folder = Path(tempfile.mkdtemp(prefix=_PREFIX, dir=parent))
        lock = (folder / _LOCK).open("wb")
        if _take(lock) and (folder / _LOCK).exists():
            return folder, lock
        # Another start has swept it before it was locked.
        lock.close()


def _sweep(parent: Path) -> None:
    """Remove the folders of runs that have ended without removing them."""
    for folder in parent.glob(f"{_PREFIX}*"):
        if not _NAME.fullmatch(folder.name) or folder.is_symlink():
            continue
        try:
            with (folder / _LOCK).open("r+b") as lock:
                if _take(lock):
                    shutil.rmtree(folder, ignore_errors=True)
        except OSError:
            # Another user's, or removed in the meantime.
            continue


def _take(lock: BinaryIO) -> bool:
    import fcntl  # exists on Unix only

    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
