"""A stream as files of a folder, read no further ahead than they are needed."""

import asyncio
import os
from collections.abc import Iterator
from pathlib import Path

from service.inference.results import Failed
from service.inputs.image_buffer import image_too_large
from service.inputs.names import is_litter, text_of
from service.inputs.stream import Groups, StreamItem

# Files per trip to a thread.
_GROUP_ITEMS = 64
_GROUP_BYTES = 4 * 2**20


def files_under(path: Path) -> Iterator[tuple[str, Path]]:
    """Ids and paths of all files below a folder, in order of their names; of a file itself, that one.

    An id is the path from the folder on, with slashes. Hidden files and folders are left out.
    """
    if not path.is_dir():
        yield _id(Path(path.name)), path
        return
    # Links to folders are not followed: they could lead back up.
    for folder, below, names in os.walk(path):
        below[:] = sorted(name for name in below if not name.startswith("."))
        for name in sorted(names):
            if not name.startswith(".") and not is_litter(name):
                file = Path(folder, name)
                yield _id(file.relative_to(path)), file


async def folder_items(files: Iterator[tuple[str, Path]], limit: int) -> Groups:
    """The files as items; `limit` is the most bytes of one."""
    numbered = enumerate(files)
    while group := await asyncio.to_thread(_next_group, numbered, limit):
        yield group


def _next_group(files: Iterator[tuple[int, tuple[str, Path]]], limit: int) -> list[StreamItem]:
    group: list[StreamItem] = []
    size = 0
    for index, (item_id, path) in files:
        item = StreamItem(index, item_id, _content(path, limit))
        group.append(item)
        size += item.size
        if len(group) == _GROUP_ITEMS or size >= _GROUP_BYTES:
            break
    return group


def _content(path: Path, limit: int) -> bytes | Failed:
    try:
        with path.open("rb") as file:
            data = file.read(limit + 1)
    except OSError as error:
        return Failed("unreadable_file", f"The file cannot be read: {error.strerror or error}.")
    return data if len(data) <= limit else image_too_large(f"has more than {limit:,} bytes", limit)


def _id(path: Path) -> str:
    return text_of(os.fsencode(path.as_posix()))
