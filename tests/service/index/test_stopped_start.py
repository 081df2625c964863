"""A stop while the embedded PostgreSQL starts: nothing of it is left running."""

import signal
import subprocess
import sys
import textwrap
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest

from service.index.embedded import EmbeddedPostgres

# Stopped by a signal that raises in the main thread, as `infomax serve` is.
STARTER = textwrap.dedent(
    """
    import sys
    from contextlib import ExitStack
    from pathlib import Path
    from service.index.embedded import EmbeddedPostgres
    from service.system.signals import Signals, StopRequested

    with Signals() as signals, ExitStack() as stack:
        try:
            server = EmbeddedPostgres(Path(sys.argv[1]))
            stack.callback(server.stop)
            server.start()
            sys.exit("it started")
        except StopRequested:
            pass
    """
)


def of(folder: Path) -> list[psutil.Process]:
    """The processes of PostgreSQL that work in a folder."""
    found = []
    for process in psutil.process_iter():
        try:
            names = " ".join(process.cmdline())
            if process.name() in ("postgres", "initdb") and str(folder) in (names + process.cwd()):
                found.append(process)
        except psutil.Error:
            continue
    return found


def first(folder: Path, name: str, starter: subprocess.Popen[bytes]) -> psutil.Process:
    while starter.poll() is None:
        for process in of(folder):
            if process.name() == name:
                return process
    pytest.fail("the start was over before it was stopped")


def in_set_up(folder: Path) -> str:
    return "initdb"


def in_start(folder: Path) -> str:
    with EmbeddedPostgres(folder):
        pass
    return "postgres"


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
@pytest.mark.parametrize("prepare", [in_set_up, in_start])
def test_no_process_outlives_a_stop(
    prepare: Callable[[Path], str], number: signal.Signals, tmp_path: Path
) -> None:
    name = prepare(tmp_path)
    starter = subprocess.Popen([sys.executable, "-c", STARTER, str(tmp_path)])
    process = first(tmp_path, name, starter)
    # It cannot become ready before it is stopped, and must be ended all the same.
    process.send_signal(signal.SIGSTOP)
    starter.send_signal(number)
    # A second one, as of an impatient hand, cuts nothing short. It may come when all is done.
    starter.send_signal(number)
    assert starter.wait(60) in (0, -number)
    psutil.wait_procs(of(tmp_path), timeout=10)
    assert of(tmp_path) == []
    with EmbeddedPostgres(tmp_path) as server:
        assert server.pid is not None
