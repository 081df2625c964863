"""Decoded pixels on disk, so that the second run on the same images starts at once.

One entry is a folder, `<key>/{pixels.raw, entry.json}`. It is built under another name and renamed when
complete: a crash or two runs at a time leave no half entry. Entries are only ever read, replaced or removed
whole; deleting any of them costs nothing but time. `training.data.eviction` bounds them.
"""

import hashlib
import json
import logging
import os
import shutil
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import BinaryIO

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, ValidationError

from contract.owned_folder import OwnedFolder
from contract.preprocessing import Preprocessing
from training.data.eviction import ENTRY, PIXELS, hold, touch
from training.data.source import Source

_log = logging.getLogger(__name__)


class CacheEntry(BaseModel):
    """Which images of a source were decoded.

    Attributes:
        rows: their places in the source, ascending.
        names: what each is called.
        unreadable: the others, each as `name: problem`.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    rows: tuple[int, ...]
    names: tuple[str, ...]
    unreadable: tuple[str, ...]


def default_cache() -> Path:
    """Return the folder `infomax` in the user's cache folder (XDG Base Directory Specification)."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "infomax"


def entry_folder(cache: Path, source: Source, rule: Preprocessing) -> Path:
    """Name the folder of the source's images, decoded by the rule, in the cache."""
    return cache / hashlib.sha256(f"{source.fingerprint}\0{rule.sha256}".encode()).hexdigest()[:32]


def read(folder: Path, rule: Preprocessing) -> tuple[NDArray[np.uint8], CacheEntry] | None:
    """Read the pixels [N, H, W, 3] and the record of an entry, or None when there is no usable one.

    The pixels are mapped copy-on-write: writing to the array changes no file. The entry is not evicted while
    they are.
    """
    try:
        contents = CacheEntry.model_validate_json((folder / ENTRY).read_text())
        shape = (len(contents.rows), rule.height, rule.width, 3)
        with (folder / PIXELS).open("rb") as file:
            hold(file)
            pixels = np.memmap(file, np.uint8, mode="c", shape=shape)
        touch(folder)
        return pixels, contents
    except FileNotFoundError:
        return None
    except (OSError, ValueError, ValidationError) as error:
        _log.warning("the cached images in %s are unusable (%s) and are decoded anew", folder, error)
        return None


def write(folder: Path, fill: Callable[[Callable[[NDArray[np.uint8]], None]], CacheEntry]) -> None:
    """Make an entry: `fill` is given a function that appends one image's pixels, and tells the contents.

    Raises:
        OSError: the folder cannot be written, or the disk is full.
    """
    folder.parent.mkdir(parents=True, exist_ok=True)
    with OwnedFolder(".building-", folder.parent) as building:
        draft = building.path / folder.name
        draft.mkdir()
        with (draft / PIXELS).open("wb") as file:
            contents = fill(partial(_append, file))
        (draft / ENTRY).write_text(json.dumps(contents.model_dump()))
        if folder.exists():
            shutil.rmtree(folder)
        draft.rename(folder)


def _append(file: BinaryIO, pixels: NDArray[np.uint8]) -> None:
    # Written, not mapped: a full disk is then an error and no fatal signal.
    file.write(pixels.tobytes())
