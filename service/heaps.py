"""What the C library keeps of freed memory: only glibc is told, others are left as they are."""

import asyncio
import ctypes
from contextlib import suppress

_M_ARENA_MAX = -8  # of glibc's malloc.h
_HEAPS = 2
_REST_SECONDS = 30.0


def share_heaps() -> None:
    """Let the threads share two heaps. To be called before they are started.

    glibc gives nearly every thread a heap of its own, and each keeps up to 32 MiB that were freed once large
    images had passed, so that a worker with a dozen threads may hold hundreds of megabytes that nobody uses.
    """
    with suppress(OSError, AttributeError):
        ctypes.CDLL(None).mallopt(_M_ARENA_MAX, _HEAPS)


def give_back() -> None:
    """Hand every free page to the system.

    By itself glibc only gives back what lies above the topmost block in use. What is free below, between
    small blocks that live on, grows with every peak of large images that finds no room in one piece.
    """
    with suppress(OSError, AttributeError):
        ctypes.CDLL(None).malloc_trim(0)


async def keep_giving_back() -> None:
    """Every half minute, which takes some milliseconds of a thread, until cancelled."""
    while True:
        await asyncio.sleep(_REST_SECONDS)
        await asyncio.to_thread(give_back)
