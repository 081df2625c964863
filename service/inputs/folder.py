"""Files of a folder, read no further ahead than they are needed.

Nothing that lies there is left out in silence: what cannot be read is an item that fails, and what is hidden
is counted and named.
"""

import os
import stat
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from service.inference.results import Failed
from service.inputs.image_buffer import image_too_large
from service.inputs.names import is_litter, text_of

_NAMED = 3
_KINDS = {
    stat.S_IFIFO: "a named pipe",
    stat.S_IFSOCK: "a socket",
    stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a device",
    stat.S_IFDIR: "a folder",
}
_Identity = tuple[int, int]


@dataclass(frozen=True, slots=True)
class FolderFile:
    """One file below a folder.

    Attributes:
        id: its path from the folder on, with slashes.
        path: where it lies, through whichever links it was found.
        failed: why it cannot be read, where that is known already.
    """

    id: str
    path: Path
    failed: Failed | None = None


@dataclass(slots=True)
class Hidden:
    """Files and folders that are not looked into: their number, and the names of the first few."""

    count: int = 0
    names: list[str] = field(default_factory=list)

    def add(self, name: str) -> None:
        self.count += 1
        if len(self.names) < _NAMED:
            self.names.append(name)

    def __str__(self) -> str:
        names = ", ".join(self.names)
        return names if self.count <= len(self.names) else f"{names}, …"


def files_under(path: Path, hidden: Hidden) -> Iterator[FolderFile]:
    """Yield all files below a folder, in order of their names; of a file itself, that one.

    Links are followed, but not to a folder that they lie in. Names that begin with a dot and files of desktop
    systems are noted in `hidden`.
    """
    if not _is_folder(path):
        yield FolderFile(_text(path.name), path)
        return
    # Folders that are still to be read: where they are, their ids, and the identities of those above.
    waiting: list[tuple[Path, str, frozenset[_Identity]]] = [(path, "", frozenset())]
    while waiting:
        folder, prefix, above = waiting.pop()
        try:
            # So that a file has one path, whichever link led to it.
            folder = folder.resolve(strict=True)
            info = folder.stat()
            entries = sorted(os.scandir(folder), key=lambda entry: entry.name)
        except (OSError, RuntimeError) as error:
            yield FolderFile(prefix.rstrip("/") or ".", folder, _unreadable("The folder", error))
            continue
        if (info.st_dev, info.st_ino) in above:
            reason = "The link leads to a folder that it lies in, and is not followed again."
            yield FolderFile(prefix.rstrip("/"), folder, Failed("unreadable_file", reason))
            continue
        within = above | {(info.st_dev, info.st_ino)}
        below: list[tuple[Path, str, frozenset[_Identity]]] = []
        for entry in entries:
            name = prefix + _text(entry.name)
            if entry.name.startswith(".") or is_litter(entry.name):
                hidden.add(name)
            elif _is_folder(entry):
                below.append((folder / entry.name, f"{name}/", within))
            else:
                yield FolderFile(name, folder / entry.name)
        waiting += reversed(below)


def content_of(path: Path, limit: int) -> bytes | Failed:
    """Read a file of at most `limit` bytes; what is not a regular file is refused unopened."""
    try:
        # Opening a device may do something to it, and a pipe waits for its other end.
        if failed := _special(path.stat()):
            return failed
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        with open(descriptor, "rb") as file:  # noqa: PTH123 (it is open already)
            if failed := _special(os.fstat(descriptor)):
                return failed
            data = file.read(limit + 1)
    except OSError as error:
        return _unreadable("The file", error)
    return data if len(data) <= limit else image_too_large(f"has more than {limit:,} bytes", limit)


def _special(info: os.stat_result) -> Failed | None:
    """Refuse what is not a file: reading it may never end."""
    kind = _KINDS.get(stat.S_IFMT(info.st_mode))
    return None if kind is None else Failed("unreadable_file", f"This is {kind} and not a file.")


def _is_folder(entry: Path | os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError:
        # A link that leads nowhere, or to itself: an item that fails says so.
        return False


def _unreadable(what: str, error: OSError | RuntimeError) -> Failed:
    reason = error.strerror if isinstance(error, OSError) else None
    return Failed("unreadable_file", f"{what} cannot be read: {reason or error}.")


def _text(name: str) -> str:
    return text_of(os.fsencode(name))
