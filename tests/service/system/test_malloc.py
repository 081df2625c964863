"""Freed memory that a process keeps."""

import asyncio
import ctypes
import subprocess
import sys
from threading import Event

import pytest

from service.system import malloc

_BEFORE = """
import sys
from threading import Event, Thread
import psutil
from service.system.malloc import give_back, keep_small

if sys.argv[1] == "ours":
    keep_small()

def memory():
    return psutil.Process().memory_info().rss / 2**20

before = memory()
"""
# One thread after the other frees a large block, as a photograph is one, then many smaller ones. All threads
# live to the end, as a service's do.
_THREADS = """
end = Event()

def allocate(done):
    bytearray(4 * 2**20)
    held = [bytearray(100_000) for _ in range(200)]
    held.clear()
    done.set()
    end.wait()

for _ in range(12):
    done = Event()
    Thread(target=allocate, args=[done]).start()
    done.wait()
print(memory() - before)
end.set()
"""
# Once a large block was freed, others like it come to lie below small ones that stay.
_PIXELS = """
bytearray(20 * 2**20)
large = [bytearray(20 * 2**20) for _ in range(4)]
small = [bytearray(1_000) for _ in range(1_000)]
large.clear()
print(memory() - before)
"""
# Blocks between small ones that stay.
_TORN = """
large, small = [], []
for _ in range(1000):
    large.append(bytearray(100_000))
    small.append(bytearray(1_000))
large.clear()
if sys.argv[1] == "ours":
    give_back()
print(memory() - before)
"""


def kept(program: str, how: str) -> float:
    """Measure the mebibytes that a process keeps, with our settings (`ours`) or with glibc's."""
    run = [sys.executable, "-c", _BEFORE + program, how]
    return float(subprocess.run(run, capture_output=True, text=True, check=True).stdout)


@pytest.mark.skipif(
    not hasattr(ctypes.CDLL(None), "gnu_get_libc_version"), reason="the C library is not glibc"
)
@pytest.mark.parametrize("program", [_THREADS, _PIXELS, _TORN], ids=["threads", "pixels", "torn"])
def test_little_freed_memory_is_kept(program: str) -> None:
    assert kept(program, "ours") < kept(program, "glibc's") / 2


def test_what_a_start_has_freed_is_given_back_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    given = Event()
    monkeypatch.setattr(malloc, "give_back", given.set)
    monkeypatch.setattr(malloc, "_TRIM_SECONDS", 3600.0)

    async def scenario() -> None:
        upkeep = asyncio.create_task(malloc.keep_giving_back())
        assert await asyncio.to_thread(given.wait, 60)
        upkeep.cancel()

    asyncio.run(scenario())
