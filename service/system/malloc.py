"""Limits on the freed memory that glibc keeps; other C libraries are left as they are."""

import asyncio
import ctypes
from contextlib import suppress

# From glibc's malloc.h.
_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD, _M_ARENA_MAX = -1, -3, -8
_ARENAS = 2
# Pixels of large images are larger than this; chunks of a stream of photographs are smaller.
_LARGE_BYTES = 8 * 2**20
_KEPT_BYTES = 64 * 2**20
_TRIM_SECONDS = 30.0


def keep_small() -> None:
    """Let the threads share two arenas, and keep the largest blocks out of them.

    Call it before threads are started. By default glibc gives nearly every thread an arena of its own. It
    takes blocks of up to 32 MiB from them, once a block of that size was freed. Small blocks that stay come
    to lie between these, and the arenas of a dozen threads keep hundreds of unused megabytes.
    """
    with suppress(OSError, AttributeError):
        library = ctypes.CDLL(None)
        library.mallopt(_M_ARENA_MAX, _ARENAS)
        library.mallopt(_M_MMAP_THRESHOLD, _LARGE_BYTES)
        # Setting the one threshold fixes the other at 128 KiB, and a heap's end would move with every batch.
        library.mallopt(_M_TRIM_THRESHOLD, _KEPT_BYTES)


def give_back() -> None:
    """Return every free page to the system.

    By default glibc returns only the pages above the topmost block in use, and only when a block is freed.
    """
    with suppress(OSError, AttributeError):
        ctypes.CDLL(None).malloc_trim(0)


async def keep_giving_back() -> None:
    """Return free pages now, after a start that used many, and every half minute until cancelled.

    Each time takes some milliseconds of a thread.
    """
    while True:
        await asyncio.to_thread(give_back)
        await asyncio.sleep(_TRIM_SECONDS)
