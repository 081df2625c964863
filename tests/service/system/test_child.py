"""Functions that run in processes of their own."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from threading import Thread

import psutil
import pytest

from contract.errors import ArtefactError
from service.system.child import ChildError, in_child, kill_children
from service.system.signals import Signals, StopRequested


def refuse(reason: str) -> None:
    raise ArtefactError(reason)


def kill_itself(number: int) -> str:
    os.kill(os.getpid(), number)
    return "alive"


def hang(place: Path) -> None:
    """Write the process id, and answer never."""
    draft = place.with_suffix(".draft")
    draft.write_text(str(os.getpid()))
    draft.rename(place)
    time.sleep(3600)


def pid_in(place: Path) -> int:
    while not place.exists():
        time.sleep(0.01)
    return int(place.read_text())


def test_the_result_and_the_error_are_those_of_another_process() -> None:
    assert in_child(os.getpid) != os.getpid()
    with pytest.raises(ArtefactError, match="no card"):
        in_child(refuse, "no card")


def test_a_process_that_ends_without_a_result_is_a_sentence() -> None:
    with pytest.raises(ChildError, match=r"killed by SIGKILL; is there enough memory\?\)"):
        in_child(kill_itself, signal.SIGKILL)
    with pytest.raises(ChildError, match="exit status 3"):
        in_child(os._exit, 3)


@pytest.mark.parametrize("number", Signals.HANDLED)
def test_signals_to_all_processes_of_a_terminal_do_not_reach_it(number: int) -> None:
    assert in_child(kill_itself, number) == "alive"


def test_a_signal_to_stop_ends_the_wait_and_the_process(tmp_path: Path) -> None:
    place = tmp_path / "pid"

    def stop() -> None:
        pid_in(place)
        os.kill(os.getpid(), signal.SIGTERM)

    with Signals():
        thread = Thread(target=stop)
        thread.start()
        with pytest.raises(StopRequested):
            in_child(hang, place)
        thread.join()
    assert not psutil.pid_exists(pid_in(place))


def test_the_end_of_the_service_ends_what_another_thread_waits_for(tmp_path: Path) -> None:
    ended: list[Exception] = []

    def wait() -> None:
        try:
            in_child(hang, tmp_path / "pid")
        except ChildError as error:
            ended.append(error)

    thread = Thread(target=wait)
    thread.start()
    pid = pid_in(tmp_path / "pid")
    # Also where it hangs.
    os.kill(pid, signal.SIGSTOP)
    kill_children()
    thread.join()
    assert len(ended) == 1
    assert not psutil.pid_exists(pid)


def test_a_killed_parent_takes_it_along(tmp_path: Path) -> None:
    script = (
        "from pathlib import Path\n"
        "from service.system.child import in_child\n"
        "from tests.service.system.test_child import hang\n"
        f"in_child(hang, Path({str(tmp_path / 'pid')!r}))\n"
    )
    parent = subprocess.Popen([sys.executable, "-c", script])
    child = psutil.Process(pid_in(tmp_path / "pid"))
    parent.kill()
    parent.wait()
    psutil.wait_procs([child])
    assert not child.is_running()
