"""Eviction from the cache of decoded pixels: what no run has used for long, and what is beyond its share.

A run holds its entries by a shared lock on the pixels. The mapping keeps the file's descriptor, and so the
lock, until the last array over it is gone; the system lets go of it however the process ends.
"""

import logging
import os
import re
import shutil
import sys
import time
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO, NamedTuple

PIXELS = "pixels.raw"
ENTRY = "entry.json"
UNUSED_DAYS = 30
# Of the disk space that would be free without the cache.
SHARE = 0.5
_DAY_SECONDS = 24 * 60 * 60
_KEY = re.compile("[0-9a-f]{32}")

_log = logging.getLogger(__name__)


class _Held(NamedTuple):
    """An entry as the disk has it.

    Attributes:
        used: when a run last mapped it, in seconds of the epoch.
        size: bytes of its pixels.
        folder: where it lies.
    """

    used: float
    size: int
    folder: Path


def evict(cache: Path, coming: int = 0) -> None:
    """Remove entries until the cache is within its bounds; those that a run has mapped stay.

    Entries go that no run has used for `UNUSED_DAYS` days. Then the least recently used go until the cache
    takes at most `SHARE` of the disk space that would be free without it. An entry of any size may be
    written: without one a run would hold its pixels in memory.

    Args:
        cache: folder of the entries; it may be missing.
        coming: bytes of an entry that is about to be written.
    """
    entries = sorted(_entries(cache))
    if not entries:
        return
    total = sum(entry.size for entry in entries)
    most = SHARE * (total + shutil.disk_usage(cache).free)
    oldest = time.time() - UNUSED_DAYS * _DAY_SECONDS
    for entry in entries:
        if entry.used >= oldest and total + coming <= most:
            break
        if _removed(entry.folder):
            total -= entry.size
            _log.info("removed decoded images from the cache: %s, %d MB", entry.folder, entry.size // 2**20)


def hold(file: BinaryIO) -> None:
    """Keep the entry of an open pixels file from eviction, as long as a copy of the descriptor is open."""
    # Windows has another kind of lock, and does not remove files that are open.
    if sys.platform != "win32":
        import fcntl

        # Some network file systems have no locks; nothing is evicted there.
        with suppress(OSError):
            fcntl.flock(file, fcntl.LOCK_SH)


def touch(folder: Path) -> None:
    """Note that a run uses an entry now."""
    # Another user's entry may be read only.
    with suppress(OSError):
        os.utime(folder / ENTRY)


def _entries(cache: Path) -> list[_Held]:
    entries = []
    # A cache that cannot be read has nothing to remove; `training.data.loading` says that it is not written.
    with suppress(OSError):
        for folder in cache.iterdir():
            if _KEY.fullmatch(folder.name):
                # One that another process replaces or removes now.
                with suppress(FileNotFoundError, NotADirectoryError):
                    entries.append(_held(folder))
    return entries


def _held(folder: Path) -> _Held:
    """Look at an entry; a removal that was killed has left a part of one."""
    files = {file.name: file.stat() for file in folder.iterdir()}
    used = files[ENTRY].st_mtime if ENTRY in files else 0.0
    return _Held(used, files[PIXELS].st_size if PIXELS in files else 0, folder)


def _removed(folder: Path) -> bool:
    """Remove an entry unless a run holds it; whether it is gone."""
    try:
        # Appending changes nothing, and makes the file that a killed removal has taken.
        with (folder / PIXELS).open("ab") as file:
            if sys.platform != "win32":
                import fcntl

                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            shutil.rmtree(folder)
    except OSError as error:
        # In use, another user's, or on a file system without locks.
        _log.debug("%s stays in the cache: %s", folder, error)
        return False
    return True
