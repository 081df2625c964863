"""Usage file: what each API key has used, shared by all processes and kept over restarts.

The file has a fixed size, one record for each key, and a lock. So a limit holds for the service as a whole,
whichever worker a connection belongs to, and a dead worker loses no count. A share of the rate for each
worker would refuse a client with one connection. The database would cost every request a round trip, and
embeddings would depend on it.
"""

import fcntl
import math
import os
import struct
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from time import time

from service.errors import SettingsError
from service.quotas.api_keys import Key

NAME = "api-keys.ledger"

_HEAD = struct.pack("<8sQ", b"infomax\0", 1)
# Tag of the key, time at which it owes nothing (Unix time), day (since 1970, UTC), images of that day.
_RECORD = struct.Struct("<16sdqq")
_TAG_BYTES = 16
_SLOTS = 4096
_FREE = bytes(_TAG_BYTES)
_DAY = 86_400


@dataclass(frozen=True, slots=True)
class Refusal:
    """Refusal of images that exceed a limit of their key.

    Attributes:
        daily: the limit is the one of the day; otherwise it is the rate.
        used: images of this day.
        seconds: after which the same images are allowed, where nothing else is sent with the key.
    """

    daily: bool
    used: int
    seconds: float


@dataclass(frozen=True, slots=True)
class _Usage:
    """Usage of one key, as its record holds it."""

    clear_at: float
    day: int
    used: int


class UsageFile:
    """One process's access to the file. The methods block for a few microseconds, never for the disk."""

    def __init__(self, folder: Path, clock: Callable[[], float] = time, slots: int = _SLOTS) -> None:
        """Open the file in a folder, or create it; it holds as many keys as it has slots.

        Raises:
            SettingsError: the folder cannot be written to.
        """
        self._clock = clock
        self._offsets: dict[str, int] = {}
        self._records_bytes = slots * _RECORD.size
        path = folder / NAME
        try:
            folder.mkdir(parents=True, exist_ok=True)
            self._file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
            with self._locked():
                size = os.fstat(self._file).st_size
                if size != len(_HEAD) + self._records_bytes or os.pread(self._file, len(_HEAD), 0) != _HEAD:
                    # Zeros are written, not implied, so that a full disk does no harm later.
                    os.ftruncate(self._file, 0)
                    os.pwrite(self._file, bytes(self._records_bytes), len(_HEAD))
                    os.pwrite(self._file, _HEAD, 0)
        except OSError as error:
            raise SettingsError(
                f"The usage of API keys cannot be kept in {path} ({error.strerror}). "
                "Set INFOMAX_DATA_DIR to a folder that can be written to."
            ) from error

    def charge(self, key: Key, images: int) -> Refusal | None:
        """Count images against the limits of a key: all of them or, with the reason, none.

        The rate is kept as a debt (GCRA, the virtual scheduling of ITU-T I.371). A key that owes nothing may
        send any number of images, and then owes the time that they take at its rate. So one request may hold
        more images than a second allows, but the long run may not.
        """
        now = self._clock()
        today = int(now // _DAY)
        with self._locked():
            offset, usage = self._find(key.id)
            used = usage.used if usage.day == today else 0
            if key.images_per_day is not None and used + images > key.images_per_day:
                return Refusal(daily=True, used=used, seconds=(today + 1) * _DAY - now)
            clear_at = max(now, usage.clear_at)
            if key.images_per_second is not None:
                if clear_at > now:
                    return Refusal(daily=False, used=used, seconds=clear_at - now)
                clear_at += images / key.images_per_second
            self._write(offset, key.id, _Usage(clear_at, today, used + images))
        return None

    def give_back(self, key: Key, images: int) -> None:
        """Return the charge for images that were refused after all."""
        with self._locked():
            offset, usage = self._find(key.id)
            clear_at = usage.clear_at
            if key.images_per_second is not None:
                clear_at -= images / key.images_per_second
            self._write(offset, key.id, _Usage(clear_at, usage.day, max(0, usage.used - images)))

    def close(self) -> None:
        """Close the file."""
        os.close(self._file)

    @contextmanager
    def _locked(self) -> Iterator[None]:
        fcntl.flock(self._file, fcntl.LOCK_EX)
        try:
            yield
        finally:
            fcntl.flock(self._file, fcntl.LOCK_UN)

    def _find(self, key_id: str) -> tuple[int, _Usage]:
        """Return the offset of a key's record in the file, and the usage that it holds."""
        tag = _tag(key_id)
        offset = self._offsets.get(key_id)
        if offset is not None:
            found, *values = _RECORD.unpack(os.pread(self._file, _RECORD.size, offset))
            if found == tag:
                return offset, _Usage(*values)
        offset = self._search(tag)
        self._offsets[key_id] = offset
        found, *values = _RECORD.unpack(os.pread(self._file, _RECORD.size, offset))
        return offset, _Usage(*values) if found == tag else _Usage(0.0, 0, 0)

    def _search(self, tag: bytes) -> int:
        """Find the offset of a key's record, of a free one, or of the one that is unused for longest."""
        records = os.pread(self._file, self._records_bytes, len(_HEAD))
        oldest, oldest_at = math.inf, 0
        for number, (found, clear_at, day, _) in enumerate(_RECORD.iter_unpack(records)):
            offset = len(_HEAD) + number * _RECORD.size
            if found == tag:
                return offset
            last_use = -math.inf if found == _FREE else max(clear_at, (day + 1) * _DAY)
            if last_use < oldest:
                oldest, oldest_at = last_use, offset
        return oldest_at

    def _write(self, offset: int, key_id: str, usage: _Usage) -> None:
        os.pwrite(self._file, _RECORD.pack(_tag(key_id), usage.clear_at, usage.day, usage.used), offset)


def _tag(key_id: str) -> bytes:
    return sha256(key_id.encode()).digest()[:_TAG_BYTES]
