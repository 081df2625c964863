"""API keys: making them, reading the file that lists them, and recognising one that a client presents.

The file holds digests, so it gives nobody access who reads it. A key is 256 random bits, which no list of
passwords holds and no machine can run through; so its plain SHA-256 cannot be turned back, and what
protects passwords by being slow (scrypt, Argon2) would only make every request slow.
"""

import hashlib
import hmac
import logging
import math
import re
import secrets
import tomllib
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from time import monotonic

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from contract.errors import InfomaxError

logger = logging.getLogger(__name__)

_ID = re.compile(r"[a-z0-9][a-z0-9_-]{0,63}")
# Lets people, and programs that look for leaked secrets, see what it is.
_PREFIX = "imx_"
_KEY_BYTES = 32
# What a client may present as a key; more is not hashed.
_LONGEST_KEY = 256
_MOST_KEYS = 1000
_MOST_FILE_BYTES = 2**20
_LOOK_SECONDS = 1.0


class KeyFileError(InfomaxError):
    """The file of API keys cannot be read or breaks a rule."""


class _Limits(BaseModel):
    """What a table of the file holds beside the digest."""

    model_config = ConfigDict(extra="forbid", strict=True)

    sha256: str = Field(pattern=r"^[0-9a-f]{64}$")
    images_per_second: float | None = Field(default=None, gt=0, allow_inf_nan=False)
    images_per_day: int | None = Field(default=None, ge=1)
    admin: bool = False


@dataclass(frozen=True, slots=True)
class Key:
    """A key that the service knows.

    Attributes:
        id: its name, which logs and metrics show.
        sha256: digest of the key's text.
        images_per_second: how many images it may send in the long run; None for any number.
        images_per_day: most images of one day in UTC; None for any number.
        admin: whether it may change what is served.
    """

    id: str
    sha256: bytes
    images_per_second: float | None = None
    images_per_day: int | None = None
    admin: bool = False


def new_key() -> str:
    """The text of a fresh key."""
    return _PREFIX + secrets.token_urlsafe(_KEY_BYTES)


def table_of(
    name: str,
    key: str,
    images_per_second: float | None,
    images_per_day: int | None,
    *,
    admin: bool = False,
) -> str:
    """The lines of the file that let a key in.

    Raises:
        KeyFileError: the name or the rate is not allowed.
    """
    _check_id(name)
    if images_per_second is not None and not math.isfinite(images_per_second):
        raise KeyFileError(f"{images_per_second} images per second is not a rate; leave it out for no limit.")
    lines = [f"[keys.{name}]", f'sha256 = "{hashlib.sha256(key.encode()).hexdigest()}"']
    if images_per_second is not None:
        lines.append(f"images_per_second = {images_per_second!r}")
    if images_per_day is not None:
        lines.append(f"images_per_day = {images_per_day}")
    if admin:
        lines.append("admin = true")
    return "\n".join(lines) + "\n"


def read_keys(path: Path) -> list[Key]:
    """The keys of a file.

    Raises:
        KeyFileError: it cannot be read, is no TOML, or one of its tables breaks a rule, which is named.
    """
    try:
        with path.open("rb") as file:
            text = file.read(_MOST_FILE_BYTES + 1)
    except OSError as error:
        raise KeyFileError(
            f"The API keys in {path} cannot be read ({error.strerror}); correct INFOMAX_API_KEYS_FILE."
        ) from error
    if len(text) > _MOST_FILE_BYTES:
        raise KeyFileError(f"{path} has more than {_MOST_FILE_BYTES:,} bytes; it cannot be a file of keys.")
    try:
        tables = tomllib.loads(text.decode())
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise KeyFileError(f"{path} is no TOML file ({error}).") from error
    entries = tables.pop("keys", None)
    if not isinstance(entries, dict) or tables:
        # Also what an editor has begun to write and not yet finished.
        raise KeyFileError(
            f"{path} must hold the table [keys] and nothing else; `infomax key new NAME` prints the lines."
        )
    if len(entries) > _MOST_KEYS:
        raise KeyFileError(f"{path} holds {len(entries):,} keys, the limit is {_MOST_KEYS:,}.")
    keys = [_key(name, entry, path) for name, entry in entries.items()]
    for number, key in enumerate(keys):
        for other in keys[:number]:
            if key.sha256 == other.sha256:
                raise KeyFileError(f"{path}: {other.id} and {key.id} are the same key; make one for each.")
    return keys


def _key(name: str, entry: object, path: Path) -> Key:
    try:
        _check_id(name)
        limits = _Limits.model_validate(entry)
    except KeyFileError as error:
        raise KeyFileError(f"{path}: {error}") from error
    except ValidationError as error:
        first = error.errors()[0]
        member = ".".join(["keys", name, *map(str, first["loc"])])
        raise KeyFileError(f"{path}: {member} is not allowed: {first['msg']}.") from error
    return Key(
        name, bytes.fromhex(limits.sha256), limits.images_per_second, limits.images_per_day, limits.admin
    )


def _check_id(name: str) -> None:
    if not _ID.fullmatch(name):
        raise KeyFileError(
            f"{name[:64]!a} is no name for a key; take 1 to 64 of a-z, 0-9, _ and -, a letter or digit first."
        )


class KeyRing:
    """The keys of a file, read again when it changes. All of it runs on one event loop.

    A file that has become invalid, or is gone, changes nothing but the log: the keys stay as they were. To
    take every key away, leave `[keys]` with nothing under it.
    """

    def __init__(self, path: Path, clock: Callable[[], float] = monotonic) -> None:
        """Read the file for the first time.

        Raises:
            KeyFileError: as `read_keys`.
        """
        self._path = path
        self._clock = clock
        self._seen = _signature(path)
        self._keys = _by_head(read_keys(path))
        self._next_look = clock() + _LOOK_SECONDS

    def find(self, presented: str) -> Key | None:
        """The key that a client presents, if there is such a key.

        What is compared are digests: of a key that does not exist a client cannot choose the digest, so the
        time that finding it takes tells nothing; and the last word has a comparison in constant time.
        """
        self._look()
        if len(presented) > _LONGEST_KEY:
            return None
        digest = hashlib.sha256(presented.encode()).digest()
        key = self._keys.get(digest[:8])
        if key is None or not hmac.compare_digest(key.sha256, digest):
            return None
        return key

    def _look(self) -> None:
        """Read the file again if it has changed, at most once a second."""
        now = self._clock()
        if now < self._next_look:
            return
        self._next_look = now + _LOOK_SECONDS
        signature = _signature(self._path)
        if signature == self._seen:
            return
        # Before reading: what changes meanwhile is seen next time.
        self._seen = signature
        try:
            keys = read_keys(self._path)
        except KeyFileError as error:
            logger.error("the API keys stay as they were: %s", error)
            return
        self._keys = _by_head(keys)
        logger.info("the API keys were read again: %d", len(keys))


def _by_head(keys: Iterable[Key]) -> dict[bytes, Key]:
    return {key.sha256[:8]: key for key in keys}


def _signature(path: Path) -> tuple[int, int, int] | None:
    """What changes when a file is written to or replaced; None where there is none."""
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_mtime_ns, status.st_size, status.st_ino
