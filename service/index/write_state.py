"""Whether the database takes writes: reads go on where its disk is full or it is a read-only replica."""

import shutil
from pathlib import Path
from time import monotonic

# A database that refused a write is called so until it accepts one, and no longer than this: it may have got
# room meanwhile without a write that would show it.
_REMEMBERED_SECONDS = 60.0
# PostgreSQL needs room for its next log segment.
_LEAST_FREE_BYTES = 16 * 2**20


class WriteState:
    """What is known of the database's writes in this process."""

    def __init__(self, folder: Path | None = None) -> None:
        """`folder` is that of the embedded database; None where the database is elsewhere."""
        self._folder = folder
        self._refusal: tuple[float, str] | None = None

    def succeeded(self) -> None:
        """A write is on the disk."""
        self._refusal = None

    def refused(self, reason: str) -> None:
        """A write was refused for a reason that meets every other too."""
        self._refusal = (monotonic(), reason)

    @property
    def obstacle(self) -> str | None:
        """Why writes fail; None where they succeed, as far as is known."""
        if self._refusal is not None and monotonic() - self._refusal[0] < _REMEMBERED_SECONDS:
            return self._refusal[1]
        if self._folder is None:
            return None
        try:
            free = shutil.disk_usage(self._folder).free
        except OSError:
            return None
        if free < _LEAST_FREE_BYTES:
            return f"the disk of {self._folder} has {free / 2**20:.1f} MiB left"
        return None
