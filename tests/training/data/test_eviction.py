"""The cache of decoded pixels is bounded, and takes nothing from a run that uses it."""

import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from contract.preprocessing import Preprocessing
from tests.pictures import plain
from training.data import load
from training.data.cache import entry_folder
from training.data.eviction import ENTRY, PIXELS, UNUSED_DAYS, evict
from training.data.opening import open_source

RULE = Preprocessing(height=32, width=32)
DAY = 24 * 60 * 60
# Decodes the images of a folder into a cache, and is killed in the middle.
KILLED = """
import os, signal, sys
from pathlib import Path
from training.data import cache
def fill(append):
    os.kill(os.getpid(), signal.SIGKILL)
cache.write(Path(sys.argv[1]) / ("0" * 32), fill)
"""


@pytest.fixture
def cache(tmp_path: Path) -> Path:
    return tmp_path / "cache"


def images(folder: Path, value: int) -> Path:
    folder.mkdir()
    (folder / "a.png").write_bytes(plain(value))
    return folder


def entry(cache: Path, key: str, days_ago: float, size: int = 3072) -> Path:
    """An entry that a run has used last so many days ago; its pixels take no space, whatever the size."""
    folder = cache / (key * 32)
    folder.mkdir(parents=True)
    with (folder / PIXELS).open("wb") as file:
        file.truncate(size)
    (folder / ENTRY).write_text("{}")
    used = time.time() - days_ago * DAY
    os.utime(folder / ENTRY, (used, used))
    return folder


def test_what_no_run_has_used_for_long_goes_with_the_next_load(tmp_path: Path, cache: Path) -> None:
    stale, recent = entry(cache, "a", UNUSED_DAYS + 1), entry(cache, "b", UNUSED_DAYS - 1)
    load(images(tmp_path / "images", 1), RULE, cache=cache)
    assert not stale.exists()
    assert recent.exists()


def test_a_load_from_the_cache_counts_as_a_use(tmp_path: Path, cache: Path) -> None:
    used, unused = images(tmp_path / "used", 1), images(tmp_path / "unused", 2)
    for folder in (used, unused):
        load(folder, RULE, cache=cache)
        kept = entry_folder(cache, open_source(folder), RULE)
        os.utime(kept / ENTRY, (1, 1))
    # Nothing holds its pixels any more.
    load(used, RULE, cache=cache)
    evict(cache)
    assert list(cache.iterdir()) == [entry_folder(cache, open_source(used), RULE)]


def test_beyond_its_share_of_the_disk_the_least_recently_used_go_first(cache: Path) -> None:
    # More than half of what would be free without it, however much other processes write and remove.
    too_large = 4 * shutil.disk_usage(cache.parent).free
    oldest, older, newest = entry(cache, "a", 3), entry(cache, "b", 2, too_large), entry(cache, "c", 1)
    evict(cache)
    assert not oldest.exists()
    assert not older.exists()
    assert newest.exists()


@pytest.mark.parametrize("taken", [ENTRY, PIXELS])
def test_what_a_killed_removal_left_goes(cache: Path, taken: str) -> None:
    left, kept = entry(cache, "a", UNUSED_DAYS + 1), entry(cache, "b", 1)
    (left / taken).unlink()
    evict(cache)
    assert not left.exists()
    assert kept.exists()


def test_room_is_made_for_what_is_about_to_be_written(cache: Path) -> None:
    kept = entry(cache, "a", 1)
    evict(cache)
    assert kept.exists()
    evict(cache, coming=4 * shutil.disk_usage(cache).free)
    assert not kept.exists()


def test_an_entry_that_a_run_has_mapped_stays_and_goes_with_its_end(tmp_path: Path, cache: Path) -> None:
    folder = images(tmp_path / "images", 7)
    pixels = load(folder, RULE, cache=cache).pixels[:, :16]
    kept = entry_folder(cache, open_source(folder), RULE)
    os.utime(kept / ENTRY, (1, 1))
    evict(cache)
    assert kept.exists()
    assert (pixels == 7).all()
    # A view of a part: the mapping goes with the last of them.
    del pixels
    evict(cache)
    assert not kept.exists()


def test_what_is_not_an_entry_is_left_alone(cache: Path) -> None:
    cache.mkdir()
    other = cache / "notes"
    other.mkdir()
    (other / PIXELS).touch()
    (other / ENTRY).touch()
    (cache / ("f" * 32)).write_text("a file")
    os.utime(other / ENTRY, (1, 1))
    evict(cache, coming=2**62)
    assert {path.name for path in cache.iterdir()} == {"notes", "f" * 32}


def test_what_a_killed_decoding_left_goes_with_the_next(tmp_path: Path, cache: Path) -> None:
    killed = subprocess.run([sys.executable, "-c", KILLED, cache], check=False)
    assert killed.returncode == -signal.SIGKILL
    (left,) = cache.iterdir()
    load(images(tmp_path / "images", 1), RULE, cache=cache)
    assert not left.exists()
    assert len(list(cache.iterdir())) == 1
