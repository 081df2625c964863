"""A stream as a tar archive, read member by member as it arrives: ustar, pax and GNU long names."""

import re
import tarfile
from collections.abc import Callable, Generator
from typing import Never

from service.inputs.image_buffer import ImageBuffer
from service.inputs.names import is_litter, member_id, text_of
from service.inputs.stream import StreamLimits, StreamParser, damaged_stream
from service.inputs.tar_header import TarHeader, TarHeaderError, read_header

_BLOCK = 512
_FILES = (tarfile.REGTYPE, tarfile.AREGTYPE, tarfile.CONTTYPE)
_PAX = (tarfile.XHDTYPE, tarfile.SOLARIS_XHDTYPE)
_WITHOUT_CONTENT = (
    tarfile.LNKTYPE,
    tarfile.SYMTYPE,
    tarfile.CHRTYPE,
    tarfile.BLKTYPE,
    tarfile.DIRTYPE,
    tarfile.FIFOTYPE,
)
# A long name or a set of pax records; a header that claims more is not believed.
_MOST_EXTENSION = 2**20
_PAX_RECORD = re.compile(rb"(\d{1,7}) ([^=]+)=")

Reading = Generator[None, bytes, None]
"""A part of the archive's grammar: it stops where it needs the body's next piece, and is sent it."""


class TarParser(StreamParser):
    """Regular files as items; a member's id is its path without a leading `./`.

    Directories, links, devices and the litter of desktop systems are passed over. A compressed archive is
    none to this parser: images do not get smaller, and what compression hides has no limit.
    """

    def __init__(self, limits: StreamLimits) -> None:
        super().__init__(limits)
        self._piece = memoryview(b"")
        self._ended = False
        self._archive = self._read_archive()
        next(self._archive)

    def feed(self, data: bytes) -> None:
        if not self._ended:
            self._archive.send(data)

    def finish(self) -> None:
        if not self._ended:
            self._damaged("it stops before its end mark; send all of it")

    def close(self) -> None:
        self._archive.close()

    def _read_archive(self) -> Reading:
        long_name: bytes | None = None
        pax: dict[bytes, bytes] = {}
        while True:
            block = bytearray()
            yield from self._pass(_BLOCK, block.extend)
            if not any(block):
                break
            header = self._header(bytes(block))
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
        self._ended = True
        while True:
            # What stands behind the end mark pads the archive.
            yield

    def _read_member(self, kind: bytes, name: str, size: int) -> Reading:
        if kind in _WITHOUT_CONTENT:
            return
        if kind == tarfile.GNUTYPE_SPARSE:
            self._damaged(f"{name!a} is a sparse file; pack it without --sparse")
        wanted = kind in _FILES and not is_litter(name)
        image = ImageBuffer(self._limits.image_bytes)
        yield from self._pass(size, image.write if wanted else len)
        yield from self._pass(-size % _BLOCK, len)
        if wanted:
            self._add(member_id(name), image.content())

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
