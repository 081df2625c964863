"""What each API key has used, shared by all processes of one service and kept over restarts.

A file of fixed size with one record for each key, under a lock of the file. So the limits hold for the
service as a whole, whichever process a connection went to, and a worker that dies takes nothing of it along.
A share of the rate for each process would refuse a client whose one connection goes to one process; the
database would cost each request a round trip, and make embeddings depend on it.
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
# Tag of the key, moment at which it owes nothing (seconds since 1970), day (since 1970, UTC), its images.
_RECORD = struct.Struct("<16sdqq")
_TAG_BYTES = 16
_SLOTS = 4096
_FREE = bytes(_TAG_BYTES)
_DAY = 86_400


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why a key may not send what it wants to send now.

    Attributes:
        daily: it is for the day's images; otherwise for the rate.
        used: images of this day.
        seconds: after which the same images are allowed, if nothing else is sent with the key.
    """

    daily: bool
    used: int
    seconds: float


@dataclass(frozen=True, slots=True)
class _Record:
    clear_at: float
    day: int
    used: int


class UsageFile:
    """One process's access to the file. Its methods block for a few microseconds, and for no disk."""

    def __init__(self, folder: Path, clock: Callable[[], float] = time, slots: int = _SLOTS) -> None:
        """Open the ledger in a folder, or begin it; it remembers as many keys as it has slots.

        Raises:
            SettingsError: the folder cannot be written to.
        """
        self._clock = clock
        self._places: dict[str, int] = {}
        self._records_bytes = slots * _RECORD.size
        path = folder / NAME
        try:
            folder.mkdir(parents=True, exist_ok=True)
            self._file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
            with self._locked():
                size = os.fstat(self._file).st_size
                if size != len(_HEAD) + self._records_bytes or os.pread(self._file, len(_HEAD), 0) != _HEAD:
                    # Zeros are written, not implied: later on a full disk has no say.
                    os.ftruncate(self._file, 0)
                    os.pwrite(self._file, bytes(self._records_bytes), len(_HEAD))
                    os.pwrite(self._file, _HEAD, 0)
        except OSError as error:
            raise SettingsError(
                f"What API keys have used cannot be kept in {path} ({error.strerror}); "
                "INFOMAX_DATA_DIR must name a folder that can be written to."
            ) from error

    def charge(self, key: Key, images: int) -> Refusal | None:
        """Count images against the limits of a key, all of them or, with a reason, none.

        The rate is kept as a debt (the virtual scheduling of ITU-T I.371, GCRA): whoever owes nothing may
        send any number of images, and then owes the time that they take at the key's rate. So one request
        may hold more images than a second allows, and the long run does not.
        """
        now = self._clock()
        today = int(now // _DAY)
        with self._locked():
            place, record = self._find(key.id)
            used = record.used if record.day == today else 0
            if key.images_per_day is not None and used + images > key.images_per_day:
                return Refusal(daily=True, used=used, seconds=(today + 1) * _DAY - now)
            clear_at = max(now, record.clear_at)
            if key.images_per_second is not None:
                if clear_at > now:
                    return Refusal(daily=False, used=used, seconds=clear_at - now)
                clear_at += images / key.images_per_second
            self._write(place, key.id, _Record(clear_at, today, used + images))
        return None

    def give_back(self, key: Key, images: int) -> None:
        """Take back what was charged for images that were refused after all."""
        with self._locked():
            place, record = self._find(key.id)
            clear_at = record.clear_at
            if key.images_per_second is not None:
                clear_at -= images / key.images_per_second
            self._write(place, key.id, _Record(clear_at, record.day, max(0, record.used - images)))

    def close(self) -> None:
        os.close(self._file)

    @contextmanager
    def _locked(self) -> Iterator[None]:
        fcntl.flock(self._file, fcntl.LOCK_EX)
        try:
            yield
        finally:
            fcntl.flock(self._file, fcntl.LOCK_UN)

    def _find(self, key_id: str) -> tuple[int, _Record]:
        """A key's place in the file, and what stands there."""
        tag = _tag(key_id)
        place = self._places.get(key_id)
        if place is not None:
            found, *values = _RECORD.unpack(os.pread(self._file, _RECORD.size, place))
            if found == tag:
                return place, _Record(*values)
        place = self._search(tag)
        self._places[key_id] = place
        found, *values = _RECORD.unpack(os.pread(self._file, _RECORD.size, place))
        return place, _Record(*values) if found == tag else _Record(0.0, 0, 0)

    def _search(self, tag: bytes) -> int:
        """Where a key's record stands, or may be put: at a free place, or one of a key long unused."""
        records = os.pread(self._file, self._records_bytes, len(_HEAD))
        oldest, oldest_at = math.inf, 0
        for number, (found, clear_at, day, _) in enumerate(_RECORD.iter_unpack(records)):
            place = len(_HEAD) + number * _RECORD.size
            if found == tag:
                return place
            last_use = -math.inf if found == _FREE else max(clear_at, (day + 1) * _DAY)
            if last_use < oldest:
                oldest, oldest_at = last_use, place
        return oldest_at

    def _write(self, place: int, key_id: str, record: _Record) -> None:
        os.pwrite(self._file, _RECORD.pack(_tag(key_id), record.clear_at, record.day, record.used), place)


def _tag(key_id: str) -> bytes:
    return sha256(key_id.encode()).digest()[:_TAG_BYTES]
