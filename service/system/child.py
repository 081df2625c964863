"""A function run in a process of its own, whose memory and GPU context end with it."""

import multiprocessing
import os
from collections.abc import Callable
from contextlib import suppress
from multiprocessing.connection import Connection
from multiprocessing.context import SpawnProcess
from multiprocessing.reduction import ForkingPickler
from typing import Any, ParamSpec, TypeVar

from contract.errors import InfomaxError
from service.system.spawning import describe_exit, end_with_parent, spawn

P = ParamSpec("P")
R = TypeVar("R")

_running: set[SpawnProcess] = set()


class ChildError(InfomaxError):
    """The process of a function ended without a result; the message says how."""


def in_child(function: Callable[P, R], *arguments: P.args, **named: P.kwargs) -> R:
    """Run a function of a module in a new process; return its result or raise its exception.

    The process is killed where the wait for it ends early, by a signal or by `kill_children`.

    Raises:
        ChildError: it ended without a result.
    """
    ours, theirs = multiprocessing.get_context("spawn").Pipe(duplex=False)
    work = bytes(ForkingPickler.dumps((function, arguments, named)))
    with ours:
        with theirs:
            process = spawn(_work, (theirs, work), "infomax-child")
        _running.add(process)
        try:
            succeeded, value = ours.recv()
        except EOFError:
            process.join()
            ended = describe_exit(process.exitcode or 0)
            raise ChildError(f"The process that was to answer for it ended ({ended}). Try again.") from None
        finally:
            process.kill()
            process.join()
            _running.discard(process)
            process.close()
    if not succeeded:
        raise value
    result: R = value
    return result


def kill_children() -> None:
    """End every `in_child` of this process with a `ChildError`."""
    for process in tuple(_running):
        # Closed meanwhile.
        with suppress(ValueError):
            process.kill()


def _work(connection: Connection, work: bytes) -> None:
    """Run a pickled function and send what came of it; the main function of the process."""
    end_with_parent()
    # A child of the running service inherits the folder of the workers' metrics. Importing the metrics, which
    # unpickling may do, would set every gauge there to 0: a worker would look as if it were not ready.
    os.environ.pop("PROMETHEUS_MULTIPROC_DIR", None)
    answer: tuple[bool, Any]
    try:
        function, arguments, named = ForkingPickler.loads(work)
        answer = True, function(*arguments, **named)
    except Exception as error:
        answer = False, error
    try:
        connection.send(answer)
    except Exception as error:
        connection.send((False, ChildError(f"{answer[1]!r} cannot be sent between processes ({error}).")))
