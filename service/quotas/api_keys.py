"""API keys: made, read from their file, and recognised in a request.

The file holds digests, so reading it gives no access. A key is 256 random bits, which no list of passwords
holds and no machine can enumerate, so a plain SHA-256 cannot be reversed. Slow hashes (scrypt, Argon2)
protect passwords by their cost; here they would only make every request slow.
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
# People, and scanners for leaked secrets, recognise a key by it.
_PREFIX = "imx_"
_KEY_BYTES = 32
# A longer text is not a key, and is not hashed.
_LONGEST_KEY = 256
_MOST_KEYS = 1000
_MOST_FILE_BYTES = 2**20
_CHECK_SECONDS = 1.0


class KeyFileError(InfomaxError):
    """The file of API keys cannot be read or breaks a rule."""


class _KeyTable(BaseModel):
    """Table of one key in the file."""

    model_config = ConfigDict(extra="forbid", strict=True)

    sha256: str = Field(pattern=r"^[0-9a-f]{64}$")
    images_per_second: float | None = Field(default=None, gt=0, allow_inf_nan=False)
    images_per_day: int | None = Field(default=None, ge=1)
    admin: bool = False


@dataclass(frozen=True, slots=True)
class Key:
    """API key of the file.

    Attributes:
        id: its name, which logs and metrics show.
        sha256: digest of the key's text.
        images_per_second: images that it may send per second in the long run; None for any number.
        images_per_day: images that it may send on one day in UTC; None for any number.
        admin: whether it may load model versions.
    """

    id: str
    sha256: bytes
    images_per_second: float | None = None
    images_per_day: int | None = None
    admin: bool = False


def new_key() -> str:
    """Make the text of a new key."""
    return _PREFIX + secrets.token_urlsafe(_KEY_BYTES)


def table_of(
    name: str,
    key: str,
    images_per_second: float | None,
    images_per_day: int | None,
    *,
    admin: bool = False,
) -> str:
    """Write the lines of the file that admit a key.

    Raises:
        KeyFileError: the name or the rate is not allowed.
    """
    _check_id(name)
    if images_per_second is not None and not math.isfinite(images_per_second):
        raise KeyFileError(f"{images_per_second} images per second is not a rate. Leave it out for no limit.")
    lines = [f"[keys.{name}]", f'sha256 = "{hashlib.sha256(key.encode()).hexdigest()}"']
    if images_per_second is not None:
        lines.append(f"images_per_second = {images_per_second!r}")
    if images_per_day is not None:
        lines.append(f"images_per_day = {images_per_day}")
    if admin:
        lines.append("admin = true")
    return "\n".join(lines) + "\n"


def read_keys(path: Path) -> list[Key]:
    """Read the keys of a file.

    Raises:
        KeyFileError: the file cannot be read or is not TOML, or a table breaks a rule, which is named.
    """
    try:
        with path.open("rb") as file:
            text = file.read(_MOST_FILE_BYTES + 1)
    except OSError as error:
        raise KeyFileError(
            f"The API keys in {path} cannot be read ({error.strerror}). Set INFOMAX_API_KEYS_FILE to a "
            "readable file."
        ) from error
    if len(text) > _MOST_FILE_BYTES:
        raise KeyFileError(f"{path} has more than {_MOST_FILE_BYTES:,} bytes. Name a file of keys.")
    try:
        tables = tomllib.loads(text.decode())
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise KeyFileError(f"{path} is not a TOML file ({error}). Correct it.") from error
    entries = tables.pop("keys", None)
    if not isinstance(entries, dict) or tables:
        # This also catches a file that an editor has not finished to write.
        raise KeyFileError(
            f"{path} must hold the table [keys] and nothing else. `infomax key new NAME` prints its lines."
        )
    if len(entries) > _MOST_KEYS:
        raise KeyFileError(f"{path} holds {len(entries):,} keys. The limit is {_MOST_KEYS:,}.")
    keys = [_key(name, entry, path) for name, entry in entries.items()]
    for number, key in enumerate(keys):
        for other in keys[:number]:
            if key.sha256 == other.sha256:
                raise KeyFileError(f"{path}: {other.id} and {key.id} are the same key. Make one for each.")
    return keys


def _key(name: str, entry: object, path: Path) -> Key:
    try:
        _check_id(name)
        limits = _KeyTable.model_validate(entry)
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
            f"{name[:64]!a} is not a name for a key. Take 1 to 64 of a-z, 0-9, _ and -, a letter or digit "
            "first."
        )


class KeyRing:
    """Keys of a file, read again when it changes. All methods belong to one event loop.

    Where the file has become invalid or is gone, the keys stay as they were and the log gives the reason. An
    empty table `[keys]` removes every key.
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
        self._next_check = clock() + _CHECK_SECONDS

    def find(self, presented: str) -> Key | None:
        """Find the key that a client presents; None where it does not exist.

        Digests are compared. A client cannot choose the digest of a key that does not exist, so the time of
        the look-up tells nothing. The final comparison takes constant time.
        """
        self._reload()
        if len(presented) > _LONGEST_KEY:
            return None
        digest = hashlib.sha256(presented.encode()).digest()
        key = self._keys.get(digest[:8])
        if key is None or not hmac.compare_digest(key.sha256, digest):
            return None
        return key

    def _reload(self) -> None:
        """Read the file again if it has changed, at most once a second."""
        now = self._clock()
        if now < self._next_check:
            return
        self._next_check = now + _CHECK_SECONDS
        signature = _signature(self._path)
        if signature == self._seen:
            return
        # Set before the file is read, so that a change meanwhile is seen next time.
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
    """Return what changes when a file is written or replaced; None for a missing file."""
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_mtime_ns, status.st_size, status.st_ino
