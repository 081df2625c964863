"""Processes of the service: started unsignalled, ended with their parent, and how one ended."""

import multiprocessing
import os
import signal
import threading
from collections.abc import Callable
from multiprocessing import resource_tracker
from multiprocessing.context import SpawnProcess
from typing import Any

from service.system.signals import Signals


def spawn(target: Callable[..., None], arguments: tuple[Any, ...], name: str) -> SpawnProcess:
    """Start a process that receives none of the signals that the parent handles.

    A terminal sends Ctrl-C to all processes, and some process managers send SIGTERM to all. A process that
    handled them would end before the parent has told it to, so it inherits a mask that blocks them.
    """
    # This starts a process of multiprocessing, which unblocks the signals on its way.
    resource_tracker.ensure_running()
    process = multiprocessing.get_context("spawn").Process(target=target, args=arguments, name=name)
    signal.pthread_sigmask(signal.SIG_BLOCK, Signals.HANDLED)
    try:
        process.start()
    finally:
        try:
            signal.pthread_sigmask(signal.SIG_UNBLOCK, Signals.HANDLED)
        except BaseException:
            # A signal to stop came meanwhile.
            if process.pid is not None:
                process.kill()
            raise
    return process


def end_with_parent() -> None:
    """End this process as soon as the one that started it is gone, even where this one hangs."""

    def wait() -> None:
        parent = multiprocessing.parent_process()
        if parent is not None:
            parent.join()
        os._exit(1)

    threading.Thread(target=wait, name="infomax-parent-watch", daemon=True).start()


def describe_exit(code: int) -> str:
    """Say how a process ended, by its exit code as multiprocessing gives it."""
    if code >= 0:
        return f"exit status {code}; its log says why"
    name = signal.Signals(-code).name
    return f"killed by {name}" + ("; is there enough memory?" if name == "SIGKILL" else "")
