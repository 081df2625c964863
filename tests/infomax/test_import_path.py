"""Where the command's own packages stand among folders that have their names."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from infomax.import_path import PACKAGES, put_before_namesakes


def folder_of(parent: Path, name: str, *packages: str) -> str:
    folder = parent / name
    for package in packages:
        (folder / package).mkdir(parents=True)
        (folder / package / "__init__.py").touch()
    folder.mkdir(exist_ok=True)
    return str(folder)


def test_the_installation_comes_just_before_the_first_namesake(tmp_path: Path) -> None:
    plain, other = folder_of(tmp_path, "plain"), folder_of(tmp_path, "other", "service")
    ours = folder_of(tmp_path, "ours", *PACKAGES)
    path = [plain, other, "library", ours]
    put_before_namesakes(Path(ours), path)
    assert path == [plain, ours, other, "library", ours]


@pytest.mark.parametrize("name", PACKAGES)
def test_a_folder_without_init_is_a_namesake_too(name: str, tmp_path: Path) -> None:
    ours = folder_of(tmp_path, "ours", *PACKAGES)
    (tmp_path / "other" / name).mkdir(parents=True)
    path = [str(tmp_path / "other")]
    put_before_namesakes(Path(ours), path)
    assert path == [ours, str(tmp_path / "other")]


def test_without_namesakes_the_path_stays_as_it_is(tmp_path: Path) -> None:
    ours, other = folder_of(tmp_path, "ours", *PACKAGES), folder_of(tmp_path, "other", "service")
    path = ["library", ours, other]
    put_before_namesakes(Path(ours), path)
    assert path == ["library", ours, other]


def test_the_current_folder_is_looked_at_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ours = folder_of(tmp_path, "ours", *PACKAGES)
    monkeypatch.chdir(folder_of(tmp_path, "other", "training"))
    path = ["", ours]
    put_before_namesakes(Path(ours), path)
    assert path == [ours, "", ours]


def test_an_editable_installation_is_put_on_the_path(tmp_path: Path) -> None:
    ours = folder_of(tmp_path, "ours", *PACKAGES)
    path = ["library"]
    put_before_namesakes(Path(ours), path)
    assert path == ["library", ours]


def test_a_spawned_process_finds_our_packages_among_namesakes(tmp_path: Path) -> None:
    hostile = Path(folder_of(tmp_path, "hostile", *PACKAGES))
    root = Path(__file__).parents[2]
    script = hostile / "start.py"
    script.write_text(
        "import multiprocessing\n"
        "import infomax.command\n"
        "if __name__ == '__main__':\n"
        "    from contract.errors import InfomaxError\n"
        "    context = multiprocessing.get_context('spawn')\n"
        "    process = context.Process(target=print, args=(InfomaxError('found'),))\n"
        "    process.start(); process.join()\n"
    )
    answer = subprocess.run(
        [sys.executable, script],
        cwd=hostile,
        env=os.environ | {"PYTHONPATH": os.pathsep.join([str(hostile), str(root)])},
        capture_output=True,
        text=True,
    )
    assert (answer.returncode, answer.stdout) == (0, "found\n"), answer.stderr
