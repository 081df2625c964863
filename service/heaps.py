"""How many heaps the C library keeps for a process's threads."""

import ctypes
from contextlib import suppress

_M_ARENA_MAX = -8  # of glibc's malloc.h
_HEAPS = 2


def share_heaps() -> None:
    """Let the threads share two heaps. To be called before they are started.

    glibc gives nearly every thread a heap of its own, and each keeps up to 32 MiB that were freed once large
    images had passed, so that a worker with a dozen threads may hold hundreds of megabytes that nobody uses.
    Other allocators are left as they are.
    """
    with suppress(OSError, AttributeError):
        ctypes.CDLL(None).mallopt(_M_ARENA_MAX, _HEAPS)
