"""Spool: first-in, first-out bytes in temporary files.

The files have no name: on Linux they never have one, elsewhere it is removed at once. So no file is left,
however the process ends.
"""

import os
from collections import deque
from contextlib import suppress
from tempfile import TemporaryFile
from threading import Lock
from typing import IO

# Size of one file. It is closed once it is read, so bytes that were taken occupy no disk.
_SEGMENT_BYTES = 64 * 2**20
# Most bytes of one read.
_READ_BYTES = 256 * 2**10


class _SpoolFile:
    """One file, written to its end and read in the same order."""

    def __init__(self) -> None:
        self._file: IO[bytes] = TemporaryFile(prefix="infomax-", buffering=0)  # noqa: SIM115 (closed by its owner)
        self.written = 0
        self.read = 0

    @property
    def full(self) -> bool:
        return self.written >= _SEGMENT_BYTES

    @property
    def empty(self) -> bool:
        return self.read == self.written

    def append(self, data: bytes) -> None:
        """Write all bytes; where that fails, none of them counts as written.

        Raises:
            OSError: the disk is full or failing.
        """
        rest = memoryview(data)
        while rest:
            rest = rest[os.pwrite(self._file.fileno(), rest, self.written + len(data) - len(rest)) :]
        self.written += len(data)

    def take(self) -> bytes:
        data = os.pread(self._file.fileno(), min(_READ_BYTES, self.written - self.read), self.read)
        if not data:
            raise OSError(f"a temporary file ends after {self.read:,} of {self.written:,} bytes")
        self.read += len(data)
        return data

    def close(self) -> None:
        # A late write error is reported here once more; nothing depends on it.
        with suppress(OSError):
            self._file.close()


class Spool:
    """Bytes for a slow reader. The methods block on the disk.

    Attributes:
        size: bytes that were spilled and not taken.
    """

    def __init__(self) -> None:
        self._segments: deque[_SpoolFile] = deque()
        # A thread may still be in here when its stream is cancelled: `close` waits for it.
        self._lock = Lock()
        self.size = 0

    def spill(self, data: bytes) -> None:
        """Append bytes.

        Raises:
            OSError: there is no room; nothing was appended.
        """
        with self._lock:
            if not self._segments or self._segments[-1].full:
                self._segments.append(_SpoolFile())
            self._segments[-1].append(data)
            self.size += len(data)

    def take(self) -> bytes:
        """Take some of the oldest bytes; none where the spool is empty.

        Raises:
            OSError: the disk fails.
        """
        with self._lock:
            if not self.size:
                return b""
            segment = self._segments[0]
            data = segment.take()
            self.size -= len(data)
            if segment.empty:
                # Another file is begun when it is needed.
                self._segments.popleft().close()
            return data

    def close(self) -> None:
        """Close the files."""
        with self._lock:
            while self._segments:
                self._segments.pop().close()
            self.size = 0
