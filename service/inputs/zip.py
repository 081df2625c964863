"""A stream as a zip archive, kept in a file until its directory is there, which stands at its end."""

import asyncio
import errno
import struct
import zipfile
import zlib
from collections.abc import AsyncIterator, Iterator
from itertools import islice
from tempfile import SpooledTemporaryFile
from typing import IO, cast

from service.errors import ServiceError
from service.inference.results import Failed
from service.inputs.image_buffer import image_too_large
from service.inputs.names import is_litter, member_id
from service.inputs.stream import Groups, StreamItem, StreamLimits, damaged_stream, too_many_items

# Below this the archive stays in memory.
_IN_MEMORY_BYTES = 2**20
# Collected before they are written: each write is a trip to a thread.
_WRITE_BYTES = 2**20
# zipfile reads the directory at once and makes an object of each entry: this is a few hundred thousand.
_DIRECTORY_BYTES = 32 * 2**20
# Members per trip to a thread.
_GROUP_ITEMS = 64
_GROUP_BYTES = 4 * 2**20
_LOCAL_HEADER_BYTES = 30
_ENCRYPTED = 0x1
_UTF8 = 0x800
_SHOWN = 40
_METHODS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
# A member may inflate to this, or to so many times its size: no photograph comes near it, and an archive of a
# few kilobytes cannot keep a thread busy for minutes.
_UNSUSPICIOUS_BYTES = 2**20
_MOST_TIMES = 100
# What zipfile raises on bytes that are not a zip archive.
_UNREADABLE = (
    zipfile.BadZipFile,
    zlib.error,
    struct.error,
    EOFError,
    OSError,
    ValueError,
    NotImplementedError,
)


async def zip_items(pieces: AsyncIterator[bytes], limits: StreamLimits) -> Groups:
    """Yield files of the archive as items, in the order of its directory; a member's id is its path.

    Directories and the litter of desktop systems are passed over. What a header says of a member's size is
    not believed: inflating stops at the limit of one image.

    Raises:
        ServiceError: 413 `archive_too_large` or `too_many_items`, 422 `damaged_stream`, 507 `storage_full`.
    """
    with SpooledTemporaryFile(_IN_MEMORY_BYTES, prefix="infomax-") as file:
        if not await _keep(pieces, file, limits.archive_bytes):
            raise damaged_stream("The zip archive cannot be read: the body is empty.")
        members = await asyncio.to_thread(_open, file, limits)
        try:
            reader = _Reader(members, limits)
            while group := await asyncio.to_thread(reader.next_group):
                yield group
        finally:
            members.close()
        if reader.left_over:
            raise too_many_items(limits.items)


async def _keep(pieces: AsyncIterator[bytes], file: SpooledTemporaryFile[bytes], limit: int) -> int:
    """Write the body to the file; return how many bytes it has."""
    size = 0
    waiting = bytearray()
    async for piece in pieces:
        size += len(piece)
        if size > limit:
            raise ServiceError(
                413,
                "archive_too_large",
                f"The zip archive has more than {limit:,} bytes. Send it as tar, which needs no limit, "
                "or raise INFOMAX_MAX_ARCHIVE_BYTES.",
                limit=limit,
                setting="INFOMAX_MAX_ARCHIVE_BYTES",
            )
        waiting += piece
        if len(waiting) >= _WRITE_BYTES:
            await asyncio.to_thread(_write, file, bytes(waiting))
            waiting.clear()
    await asyncio.to_thread(_write, file, bytes(waiting))
    return size


def _write(file: SpooledTemporaryFile[bytes], data: bytes) -> None:
    try:
        file.write(data)
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
            raise
        raise ServiceError(
            507,
            "storage_full",
            "The folder for temporary files has no room for the zip archive. Send it as tar, "
            "or give TMPDIR more room.",
        ) from error


class _ArchiveFile:
    """The archive's file as zipfile reads it.

    Attributes:
        most: no more bytes are read at once; zipfile would read a directory of any size.
    """

    def __init__(self, file: SpooledTemporaryFile[bytes], most: int) -> None:
        self.most = most
        self._file = file
        self.seek = file.seek
        self.tell = file.tell
        self.seekable = file.seekable

    def read(self, size: int = -1) -> bytes:
        if size > self.most:
            raise damaged_stream(
                f"The directory of the zip archive has {size:,} bytes, the limit is {self.most:,}; "
                "send the files as tar."
            )
        return self._file.read(size)


def _open(file: SpooledTemporaryFile[bytes], limits: StreamLimits) -> zipfile.ZipFile:
    source = _ArchiveFile(file, _DIRECTORY_BYTES)
    try:
        archive = zipfile.ZipFile(cast("IO[bytes]", source))
    except _UNREADABLE as error:
        raise damaged_stream(
            f"The zip archive cannot be read ({error}). It may have been cut short: send all of it."
        ) from error
    source.most = max(_DIRECTORY_BYTES, limits.image_bytes + 1)
    _check_apart(archive)
    return archive


def _check_apart(archive: zipfile.ZipFile) -> None:
    """Refuse an archive whose members share their bytes: a small one would be inflated many times over."""
    ordered = sorted(archive.infolist(), key=lambda info: info.header_offset)
    starts = [info.header_offset for info in ordered[1:]]
    for info, following in zip(ordered, [*starts, archive.start_dir], strict=False):
        name = len(info.orig_filename.encode("utf-8" if info.flag_bits & _UTF8 else "cp437"))
        if info.header_offset + _LOCAL_HEADER_BYTES + name + info.compress_size > following:
            raise damaged_stream(
                f"The member {info.filename[:_SHOWN]!a} of the zip archive overlaps with what follows it. "
                "Pack the files again."
            )


class _Reader:
    """Reads members in groups, on whichever thread asks."""

    def __init__(self, members: zipfile.ZipFile, limits: StreamLimits) -> None:
        wanted = (info for info in members.infolist() if not info.is_dir() and not is_litter(info.filename))
        self._members = members
        self._limit = limits.image_bytes
        self._wanted = wanted
        self._numbered: Iterator[tuple[int, zipfile.ZipInfo]] = enumerate(islice(wanted, limits.items))

    @property
    def left_over(self) -> bool:
        """Whether the archive holds more than a stream may."""
        return next(self._wanted, None) is not None

    def next_group(self) -> list[StreamItem]:
        """Return the next members; none at the end."""
        group: list[StreamItem] = []
        size = 0
        for index, info in self._numbered:
            item = StreamItem(index, member_id(info.filename), self._content(info))
            group.append(item)
            size += item.size
            if len(group) == _GROUP_ITEMS or size >= _GROUP_BYTES:
                break
        return group

    def _content(self, info: zipfile.ZipInfo) -> bytes | Failed:
        if info.flag_bits & _ENCRYPTED:
            return _unreadable("it is encrypted; pack it without a password")
        if info.compress_type not in _METHODS:
            return _unreadable(
                f"it is compressed by method {info.compress_type}; use deflate, or do not compress"
            )
        most = min(self._limit, max(_UNSUSPICIOUS_BYTES, _MOST_TIMES * info.compress_size))
        try:
            with self._members.open(info) as member:
                data = member.read(most + 1)
        except _UNREADABLE as error:
            return _unreadable(str(error).rstrip(".") or "it is damaged")
        if len(data) > self._limit:
            return image_too_large(f"has more than {self._limit:,} bytes once inflated", self._limit)
        if len(data) > most:
            return _unreadable(f"it inflates to more than {_MOST_TIMES} times its size; do not compress it")
        return data


def _unreadable(reason: str) -> Failed:
    return Failed("corrupt_image", f"The member of the archive cannot be read ({reason}).")
