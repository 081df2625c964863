"""File descriptors of a process: the limit, and what is kept free below it."""

import resource
from contextlib import suppress

# Systems allow 1,024 at first, and far more to a process that asks.
_WANTED = 65_536
# For the index's connections, temporary files, pipes and libraries.
_RESERVED = 64


def raise_limit() -> None:
    """Raise this process's limit, and that of the processes it starts, as far as the system lets it."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    most = _WANTED if hard == resource.RLIM_INFINITY else min(_WANTED, hard)
    if soft == resource.RLIM_INFINITY or soft >= most:
        return
    # macOS has a lower limit of its own.
    with suppress(ValueError, OSError):
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, hard))


def highest_for_clients() -> int:
    """Return the number of the highest descriptor that a client's connection may have.

    The system gives out the lowest free number, so a higher one means that few are left.
    """
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft == resource.RLIM_INFINITY:
        return _WANTED
    return soft - min(_RESERVED, soft // 4) - 1
