"""Folders that are taken where no setting names one: independent of the current folder, or said."""

from pathlib import Path

import pytest

from service.default_folders import index_folder, shipped_models
from service.settings import Settings

ROOT = Path(__file__).parents[2]


@pytest.fixture
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The current folder, empty, and an account whose home is another one."""
    for name in ("here", "home"):
        (tmp_path / name).mkdir()
    monkeypatch.chdir(tmp_path / "here")
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.delenv("XDG_DATA_HOME", raising=False)
    return tmp_path


def test_the_shipped_models_are_found_from_any_folder(elsewhere: Path) -> None:
    (elsewhere / "here" / "models").mkdir()
    assert shipped_models() == Settings().models_dir == ROOT / "models"


def test_the_index_lies_in_the_home_folder(elsewhere: Path) -> None:
    assert index_folder() == Settings().data_dir == elsewhere / "home" / ".local" / "share" / "infomax"


def test_the_index_lies_where_the_account_keeps_its_data(
    elsewhere: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_DATA_HOME", str(elsewhere / "data"))
    assert index_folder() == elsewhere / "data" / "infomax"


def test_an_index_in_the_current_folder_goes_on_being_used(elsewhere: Path) -> None:
    (elsewhere / "here" / ".infomax").mkdir()
    assert index_folder() == elsewhere / "here" / ".infomax"


def test_an_account_without_a_home_keeps_it_in_the_current_folder(
    elsewhere: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def none() -> Path:
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.setattr(Path, "home", none)
    assert index_folder() == elsewhere / "here" / ".infomax"
