"""Lock of a folder: one process at a time writes a run into it."""

import contextlib
import sys
from collections.abc import Iterator
from pathlib import Path

from training.errors import TrainingError

_FILE = ".lock"


@contextlib.contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Hold the folder for the block; the system lets go of it when the process ends, however it ends.

    Raises:
        TrainingError: another process holds it.
        OSError: the folder cannot be written.
    """
    if sys.platform == "win32":
        # Windows has another kind of lock: the folder is not guarded.
        yield
        return
    import fcntl

    with (folder / _FILE).open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise TrainingError(
                f"Another process trains in {folder}. Wait until it ends, or name another folder."
            ) from error
        except OSError:
            # Some network file systems have no locks.
            pass
        yield
