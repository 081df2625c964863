"""Files that a user has named, read without waiting for what is not a file."""

import os
import stat
from pathlib import Path


class NotRegularFileError(OSError):
    """A path that holds no file of bytes: a named pipe, a device or a socket, whose reading may never end."""

    def __init__(self, path: Path) -> None:
        super().__init__(f"{displayed(path)} is not a regular file")


def read_file(path: Path) -> bytes:
    """Read a regular file.

    Raises:
        OSError: it cannot be read, or is not a regular file.
    """
    return _read(path, -1)


def first_bytes(path: Path, count: int) -> bytes:
    """Read the first bytes of a regular file.

    Raises:
        OSError: it cannot be read, or is not a regular file.
    """
    return _read(path, count)


def displayed(path: Path | str) -> str:
    """Write a path so that any output can hold it: bytes that are not UTF-8 as `\\\\xff`."""
    return os.fsencode(path).decode("utf-8", "backslashreplace")


def _read(path: Path, count: int) -> bytes:
    # Without O_NONBLOCK, opening a named pipe waits for a writer.
    descriptor = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0))
    with open(descriptor, "rb") as file:  # noqa: PTH123 (a descriptor, not a path)
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise NotRegularFileError(path)
        return file.read(count)
