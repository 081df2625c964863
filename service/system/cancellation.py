"""Signals that cancel a command's work, so that it can end in order."""

import asyncio
import signal
import threading
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


@contextmanager
def interrupted_by_signals() -> Iterator[None]:
    """Let SIGTERM interrupt as Ctrl-C does, by KeyboardInterrupt."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
