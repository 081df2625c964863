"""A stream as a tar archive, read member by member as it arrives: ustar, pax and GNU long names."""

import re
import tarfile
from collections.abc import Callable, Generator
from typing import Never

from service.inference.results import Failed
from service.inputs.image_buffer import ImageBuffer
from service.inputs.names import is_litter, member_id, text_of
from service.inputs.stream import StreamLimits, StreamParser, damaged_stream
from service.inputs.tar_header import TarHeader, TarHeaderError, read_header

_BLOCK = 512
_FILES = (tarfile.REGTYPE, tarfile.AREGTYPE, tarfile.CONTTYPE)
_PAX = (tarfile.XHDTYPE, tarfile.SOLARIS_XHDTYPE)
# What has no content of its own, as messages name it.
_SPECIAL = {
    tarfile.LNKTYPE: "a hard link; pack it with --hard-dereference",
    tarfile.SYMTYPE: "a symbolic link; pack it with --dereference",
    tarfile.CHRTYPE: "a device",
    tarfile.BLKTYPE: "a device",
    tarfile.FIFOTYPE: "a named pipe",
}
# A long name or a set of pax records; a header that claims more is not believed.
_MOST_EXTENSION = 2**20
_PAX_RECORD = re.compile(rb"(\d{1,7}) ([^=]+)=")

Reading = Generator[None, bytes, None]
"""A part of the archive's grammar: it stops where it needs the body's next piece, and is sent it."""


class TarParser(StreamParser):
    """Regular files as items; a member's id is its path without `.` between slashes.

    Directories and the litter of desktop systems are passed over; links, devices and pipes are items that
    fail. Archives that were joined (`cat a.tar b.tar`) are read one after the other.
    """

    def __init__(self, limits: StreamLimits) -> None:
        super().__init__(limits)
        self._piece = memoryview(b"")
        # Whether all that followed the last member is zeros, a block of them at least.
        self._ended = False
        self._empty = True
        self._behind_end = False
        self._passed_over = 0
        self._archive = self._read_archive()
        next(self._archive)

    def feed(self, data: bytes) -> None:
        self._empty = self._empty and not data
        self._archive.send(data)

    def finish(self) -> None:
        if self._empty:
            self._damaged("the body is empty")
        if not self._ended:
            self._damaged("it stops before its end mark; send all of it")

    def close(self) -> None:
        self._archive.close()

    def _read_archive(self) -> Reading:
        long_name: bytes | None = None
        pax: dict[bytes, bytes] = {}
        while True:
            block = yield from self._next_block()
            header = self._header(block)
            if header.type in (*_PAX, tarfile.XGLTYPE, tarfile.GNUTYPE_LONGNAME, tarfile.GNUTYPE_LONGLINK):
                extension = yield from self._read_extension(header)
                if header.type in _PAX:
                    pax = self._records(extension)
                elif header.type == tarfile.GNUTYPE_LONGNAME:
                    long_name = extension.split(b"\0", 1)[0]
                continue
            name = pax.get(b"path") or long_name or header.name
            size = self._size(pax[b"size"]) if b"size" in pax else header.size
            yield from self._read_member(header.type, text_of(name), size)
            long_name, pax = None, {}

    def _next_block(self) -> Generator[None, bytes, bytes]:
        """Pass over zeros, which end an archive and pad it, and return the next block with anything else."""
        zeros = 0
        while True:
            while not self._piece:
                self._ended = zeros >= _BLOCK
                self._piece = memoryview((yield))
            if self._piece[0]:
                break
            rest = len(bytes(self._piece).lstrip(b"\0"))
            zeros += len(self._piece) - rest
            self._piece = self._piece[len(self._piece) - rest :]
        # Archives begin at whole blocks, so the last zeros may belong to a header.
        block = bytearray(zeros % _BLOCK)
        yield from self._pass(_BLOCK - len(block), block.extend)
        self._behind_end, self._ended = zeros >= _BLOCK, False
        return bytes(block)

    def _read_member(self, kind: bytes, name: str, size: int) -> Reading:
        if kind == tarfile.DIRTYPE:
            self._pass_over()
            return
        if kind in _SPECIAL:
            self._add(member_id(name), Failed("unreadable_file", f"This member is {_SPECIAL[kind]}."))
            return
        if kind == tarfile.GNUTYPE_SPARSE:
            self._damaged(f"{name!a} is a sparse file; pack it without --sparse")
        wanted = kind in _FILES and not is_litter(name)
        image = ImageBuffer(self._limits.image_bytes)
        yield from self._pass(size, image.write if wanted else len)
        yield from self._pass(-size % _BLOCK, len)
        if wanted:
            self._add(member_id(name), image.content())
        else:
            self._pass_over()

    def _pass_over(self) -> None:
        """Count what is not an item: a header costs as much as one, and compresses to nothing."""
        self._passed_over += 1
        if self._passed_over > self._limits.items:
            self._damaged(f"it has more than {self._limits.items:,} members that are not images")

    def _read_extension(self, header: TarHeader) -> Generator[None, bytes, bytes]:
        if header.size > _MOST_EXTENSION:
            self._damaged(f"the header of a member claims {header.size:,} bytes for its name")
        content = bytearray()
        yield from self._pass(header.size, content.extend)
        yield from self._pass(-header.size % _BLOCK, len)
        return bytes(content)

    def _pass(self, size: int, sink: Callable[[memoryview], object]) -> Reading:
        """Hand the archive's next `size` bytes on, in pieces as they come."""
        while size:
            if not self._piece:
                self._piece = memoryview((yield))
            part, self._piece = self._piece[:size], self._piece[size:]
            sink(part)
            size -= len(part)

    def _header(self, block: bytes) -> TarHeader:
        try:
            return read_header(block)
        except TarHeaderError as error:
            if self._behind_end:
                self._damaged("what follows its end mark is neither zeros nor another archive")
            self._damaged(f"the next header is invalid ({error})")

    def _records(self, extension: bytes) -> dict[bytes, bytes]:
        """Pax records `<length> <keyword>=<value>\\n` (POSIX.1-2001), lengths counting themselves."""
        records: dict[bytes, bytes] = {}
        at = 0
        while at < len(extension):
            match = _PAX_RECORD.match(extension, at)
            end = at + int(match[1]) if match else 0
            if match is None or end <= match.end() or extension[end - 1 : end] != b"\n":
                self._damaged("the pax header of the next member is invalid")
            records[match[2]] = extension[match.end() : end - 1]
            at = end
        return records

    def _size(self, text: bytes) -> int:
        if not text.isdigit() or len(text) > len(str(2**63)):
            self._damaged(f"the next header gives the size {text[:40].decode('latin-1')!a}")
        return int(text)

    def _damaged(self, reason: str) -> Never:
        raise damaged_stream(f"The tar archive cannot be read on after {self._count} images: {reason}.")
