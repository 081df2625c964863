"""Temporary folders for the sockets and counters of one run, where such a folder may lie."""

import os
import tempfile
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from contract.errors import InfomaxError
from contract.owned_folder import OwnedFolder

_PREFIX = "infomax-run-"
_OTHER_PLACES = ("/tmp", "/var/tmp", "/dev/shm")  # noqa: S108
# The path of a Unix socket has room for 103 bytes on macOS and 107 on Linux, with the file's name in it.
_LONGEST_BYTES = 103 - len("/.s.PGSQL.5432.lock")


class NoRunFolderError(InfomaxError):
    """No folder on this machine can hold the sockets of a run."""


class RunFolder(OwnedFolder):
    """A folder with a short path that one process owns.

    `TMPDIR` is taken where it suits. PostgreSQL's clients split a path at commas.
    """

    def __init__(self) -> None:
        reasons = []
        for parent in _parents():
            if "," in str(parent):
                reasons.append(f"{parent} has a comma in its name")
            elif len(os.fsencode(parent)) + len(f"/{_PREFIX}xxxxxxxx") > _LONGEST_BYTES:
                reasons.append(f"{parent} is too long a path for a socket")
            else:
                try:
                    super().__init__(_PREFIX, parent)
                except OSError as error:
                    reasons.append(f"{parent}: {error.strerror}")
                else:
                    return
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
