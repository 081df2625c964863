"""What a process holds of memory that its threads have given back."""

import ctypes
import subprocess
import sys

import pytest

# One thread after the other passes a large block, as a photograph is one, then holds and frees many smaller
# ones. All live to the end, as a service's threads do.
_PROGRAM = """
import sys
from threading import Event, Thread
import psutil
from service.heaps import share_heaps

if sys.argv[1] == "shared":
    share_heaps()
end = Event()

def work(done):
    bytearray(16 * 2**20)
    held = [bytearray(100_000) for _ in range(200)]
    held.clear()
    done.set()
    end.wait()

def memory():
    return psutil.Process().memory_info().rss / 2**20

before = memory()
for _ in range(12):
    done = Event()
    Thread(target=work, args=[done]).start()
    done.wait()
print(memory() - before)
end.set()
"""


# Large blocks between small ones that live on.
_TORN = """
import psutil
from service.heaps import give_back

def memory():
    return psutil.Process().memory_info().rss / 2**20

before = memory()
large, small = [], []
for _ in range(1000):
    large.append(bytearray(100_000))
    small.append(bytearray(1_000))
large.clear()
kept = memory() - before
give_back()
print(kept, memory() - before)
"""


def kept(how: str) -> float:
    """Mebibytes that a process keeps."""
    run = [sys.executable, "-c", _PROGRAM, how]
    return float(subprocess.run(run, capture_output=True, text=True, check=True).stdout)


on_glibc = pytest.mark.skipif(
    not hasattr(ctypes.CDLL(None), "gnu_get_libc_version"), reason="the C library is not glibc"
)


@on_glibc
def test_threads_that_share_heaps_keep_little_of_what_they_have_freed() -> None:
    assert kept("shared") < kept("own") / 2


@on_glibc
def test_what_is_free_between_blocks_in_use_is_given_back() -> None:
    run = [sys.executable, "-c", _TORN]
    kept_before, kept_after = map(
        float, subprocess.run(run, capture_output=True, text=True, check=True).stdout.split()
    )
    assert kept_before > 80
    assert kept_after < 20
