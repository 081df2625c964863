"""Signals that cancel a command's work, so that it can end in order."""

import asyncio
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TypeVar

T = TypeVar("T")

_SIGNALS = (signal.SIGINT, signal.SIGTERM)


@contextmanager
def cancelled_by_signals(task: "asyncio.Future[T]") -> Iterator[list[int]]:
    """Let Ctrl-C and SIGTERM cancel a task; the signals that did."""
    loop, seen = asyncio.get_running_loop(), list[int]()

    def stop(number: int) -> None:
        seen.append(number)
        task.cancel()

    try:
        for number in _SIGNALS:
            loop.add_signal_handler(number, stop, number)
    except (ValueError, RuntimeError, NotImplementedError):
        # Not the main thread, or Windows: no signals come here.
        yield seen
        return
    try:
        yield seen
    finally:
        for number in _SIGNALS:
            loop.remove_signal_handler(number)
