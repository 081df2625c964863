"""Folders that are made once for all test processes of a run."""

import fcntl
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest


def once(factory: pytest.TempPathFactory, name: str, make: Callable[[Path], None]) -> Path:
    """Let the first test process that needs a folder make it; the others wait, and take it read-only.

    Args:
        factory: of the session.
        name: of the folder, and what it is known by.
        make: fills the folder, which exists and is empty.
    """
    base = factory.getbasetemp()
    # Where tests run in several processes, each has a folder of its own below that of the run.
    shared = base.parent if "PYTEST_XDIST_WORKER" in os.environ else base
    folder, made = shared / name, shared / f"{name}.made"
    with (shared / f"{name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not made.exists():
            # Of an attempt that failed.
            shutil.rmtree(folder, ignore_errors=True)
            folder.mkdir()
            make(folder)
            made.touch()
    return folder
