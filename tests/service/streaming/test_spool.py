"""The laws of a spool: first in, first out, and nothing of it stays behind."""

import errno
import resource
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.streaming import spool as module
from service.streaming.spool import Spool


@contextmanager
def largest_file(size: int) -> Iterator[None]:
    """As on a disk that is full: the system writes no file beyond this size."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def drained(spool: Spool) -> bytes:
    taken = []
    while data := spool.take():
        taken.append(data)
    return b"".join(taken)


@given(st.lists(st.one_of(st.binary(min_size=1, max_size=40), st.none()), max_size=60))
def test_what_goes_in_first_comes_out_first(steps: Sequence[bytes | None]) -> None:
    """Bytes are spilled, None takes some; with files so small that there are many."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "_SEGMENT_BYTES", 50)
        patch.setattr(module, "_READ_BYTES", 7)
        spool = Spool()
        spilled, taken = b"", b""
        for step in steps:
            if step is None:
                taken += spool.take()
            else:
                spool.spill(step)
                spilled += step
            assert spool.size == len(spilled) - len(taken)
        assert taken + drained(spool) == spilled
        assert spool.size == 0
        spool.close()


def test_what_was_read_occupies_no_disk(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_SEGMENT_BYTES", 1000)
    spool = Spool()
    for _ in range(100):
        spool.spill(bytes(1000))
        spool.spill(bytes(1000))
        while spool.size > 1000:
            spool.take()
        assert len(spool._segments) <= 3
    spool.close()


def test_its_files_have_no_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """So they are gone with the process, even if it is killed."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    spool = Spool()
    spool.spill(b"answers")
    assert list(tmp_path.iterdir()) == []
    assert spool.take() == b"answers"
    spool.close()


def test_a_full_disk_costs_nothing_that_was_spilled_before() -> None:
    spool = Spool()
    spool.spill(b"a" * 4096)
    with largest_file(8192), pytest.raises(OSError) as caught:
        spool.spill(b"b" * 8192)
    assert caught.value.errno == errno.EFBIG
    spool.spill(b"c" * 100)
    assert drained(spool) == b"a" * 4096 + b"c" * 100
    spool.close()
