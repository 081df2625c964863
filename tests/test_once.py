"""Folders for all test processes: made once, by one of them, and again where that failed."""

import subprocess
import sys
from pathlib import Path

import pytest

from tests.once import once

ROOT = Path(__file__).parents[1]
PROCESS = """
import sys
from pathlib import Path
from tests.once import once

class Factory:
    def getbasetemp(self):
        return Path(sys.argv[1])

def make(folder):
    with (folder / "made").open("a") as file:
        file.write("made\\n")

print(once(Factory(), "things", make))
"""


def test_several_processes_make_it_once(tmp_path: Path) -> None:
    processes = []
    for worker in ("gw0", "gw1", "gw2"):
        base = tmp_path / worker
        base.mkdir()
        run = [sys.executable, "-c", PROCESS, str(base)]
        variables = {"PYTEST_XDIST_WORKER": worker, "PYTHONPATH": str(ROOT)}
        processes.append(subprocess.Popen(run, env=variables, stdout=subprocess.PIPE, text=True))
    answers = {process.communicate()[0] for process in processes}
    assert answers == {f"{tmp_path / 'things'}\n"}
    assert (tmp_path / "things" / "made").read_text() == "made\n"


def test_what_failed_is_made_anew(tmp_path_factory: pytest.TempPathFactory) -> None:
    attempts = []

    def make(folder: Path) -> None:
        attempts.append(sorted(path.name for path in folder.iterdir()))
        (folder / "half").touch()
        if len(attempts) == 1:
            raise ValueError("interrupted")

    with pytest.raises(ValueError, match="interrupted"):
        once(tmp_path_factory, "attempts", make)
    folder = once(tmp_path_factory, "attempts", make)
    assert once(tmp_path_factory, "attempts", make) == folder
    assert attempts == [[], []]
