"""A limit on how long a command may take, after which it stops as it does for a signal."""

import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def time_limit(minutes: float | None) -> Iterator[None]:
    """Send this process SIGTERM after the limit, as a user would: there is one way to stop."""
    if minutes is None:
        yield
        return
    timer = threading.Timer(60 * minutes, os.kill, (os.getpid(), signal.SIGTERM))
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()
