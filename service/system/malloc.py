"""What the C library keeps of freed memory: only glibc is told, others are left as they are."""

import asyncio
import ctypes
from contextlib import suppress

# Of glibc's malloc.h.
_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD, _M_ARENA_MAX = -1, -3, -8
_HEAPS = 2
# Pixels of large images are larger than this, and what a stream of photographs passes on is smaller.
_LARGE_BYTES = 8 * 2**20
_KEPT_BYTES = 64 * 2**20
_REST_SECONDS = 30.0


def keep_small() -> None:
    """Let the threads share two heaps, and the largest blocks stay out of them.

    To be called before threads are started. By itself glibc gives nearly every thread a heap of its own, and
    takes blocks from it that are as large as any that was freed before, up to 32 MiB. Small blocks that live
    on come to lie between them, and the heaps of a dozen threads keep hundreds of megabytes that nobody uses.
    """
    with suppress(OSError, AttributeError):
        library = ctypes.CDLL(None)
        library.mallopt(_M_ARENA_MAX, _HEAPS)
        library.mallopt(_M_MMAP_THRESHOLD, _LARGE_BYTES)
        # Whoever sets the one has to set the other, or a heap's end goes back and forth with every batch.
        library.mallopt(_M_TRIM_THRESHOLD, _KEPT_BYTES)


def give_back() -> None:
    """Hand every free page to the system.

    By itself glibc only gives back what lies above the topmost block in use, and nothing while nothing is
    freed.
    """
    with suppress(OSError, AttributeError):
        ctypes.CDLL(None).malloc_trim(0)


async def keep_giving_back() -> None:
    """Every half minute, which takes some milliseconds of a thread, until cancelled."""
    while True:
        await asyncio.sleep(_REST_SECONDS)
        await asyncio.to_thread(give_back)
