"""Folders of a run: short, closed, gone with their owner or at the next start, and never another's."""

import os
import signal
import stat
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from service.system.run_folder import NoRunFolderError, RunFolder

OWNER = """
import os, signal
from service.system.run_folder import RunFolder
folder = RunFolder()
(folder.path / "socket").touch()
print(folder.path, flush=True)
os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.fixture
def temporary(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder for temporary files; pytest's own are too deep for sockets."""
    with tempfile.TemporaryDirectory(dir="/tmp") as folder:
        monkeypatch.setenv("TMPDIR", folder)
        monkeypatch.setattr(tempfile, "tempdir", folder)
        yield Path(folder)


def test_it_lies_in_the_folder_for_temporary_files_and_goes_with_its_owner(temporary: Path) -> None:
    with RunFolder() as run:
        assert run.path.parent == temporary
        assert stat.S_IMODE(run.path.stat().st_mode) == stat.S_IRWXU
    assert not run.path.exists()


def test_what_a_killed_run_left_goes_at_the_next_start_and_a_living_runs_folder_stays(
    temporary: Path,
) -> None:
    with RunFolder() as living:
        killed = subprocess.run([sys.executable, "-c", OWNER], stdout=subprocess.PIPE, text=True, check=False)
        assert killed.returncode == -signal.SIGKILL
        left_behind = Path(killed.stdout.strip())
        assert left_behind.parent == temporary
        assert left_behind.exists()
        with RunFolder():
            assert not left_behind.exists()
            assert living.path.exists()


def test_folders_that_only_look_alike_are_left_alone(temporary: Path) -> None:
    alike = [temporary / "infomax-run-mine", temporary / "infomax-run-abcd1234", temporary / "infomax-data"]
    for folder in alike:
        folder.mkdir()
        (folder / "photo.jpg").touch()
    (temporary / "infomax-run-zyxw9876").symlink_to(temporary)
    (temporary / "lock").touch()
    with RunFolder():
        assert all((folder / "photo.jpg").exists() for folder in alike)
        assert temporary.exists()


def test_runs_that_start_at_the_same_time_each_have_their_own(temporary: Path) -> None:
    with ThreadPoolExecutor(8) as starts:
        runs = list(starts.map(lambda _: RunFolder(), range(64)))
    assert len({run.path for run in runs}) == 64
    assert all(run.path.exists() for run in runs)
    for run in runs:
        run.close()


@pytest.mark.parametrize("name", ["x" * 110, "a,b"])
def test_where_a_folder_cannot_hold_sockets_another_is_taken(
    name: str, temporary: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    unsuitable = temporary / name
    unsuitable.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(unsuitable))
    with RunFolder() as run:
        assert run.path.parent != unsuitable
        assert len(os.fsencode(run.path / ".s.PGSQL.5432.lock")) <= 103


def test_where_no_folder_does_each_is_named_with_its_reason(
    temporary: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    unsuitable = temporary / "a,b"
    unsuitable.mkdir()
    monkeypatch.setattr("service.system.run_folder._OTHER_PLACES", ())
    monkeypatch.setattr(tempfile, "tempdir", str(unsuitable))
    with pytest.raises(NoRunFolderError, match=r"a,b has a comma.*Set TMPDIR"):
        RunFolder()
