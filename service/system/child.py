"""A function run in a process of its own, whose memory and GPU context end with it."""

import multiprocessing
import os
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from typing import ParamSpec, TypeVar

P = ParamSpec("P")
R = TypeVar("R")


def in_child(function: Callable[P, R], *arguments: P.args, **named: P.kwargs) -> R:
    """Run a function of a module in a new process; return its result or raise its exception."""
    spawn = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(max_workers=1, mp_context=spawn, initializer=_publish_nothing) as pool:
        return pool.submit(function, *arguments, **named).result()


def _publish_nothing() -> None:
    # A child of the running service inherits the folder of the workers' metrics. Importing the metrics would
    # set every gauge there to 0, and a worker would look as if it were not ready.
    os.environ.pop("PROMETHEUS_MULTIPROC_DIR", None)
