"""Shipped recipes by name, from any folder."""

from pathlib import Path

import pytest

from training.errors import RecipeError
from training.shipped_recipes import names, recipe_file

SHIPPED = Path(__file__).parents[2] / "training" / "recipes"


def test_every_recipe_is_found_by_its_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert [recipe_file(name) for name in names()] == sorted(SHIPPED.glob("*.toml"))


def test_a_path_is_a_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("mine.toml", "mine"):
        (tmp_path / name).touch()
        assert recipe_file(name) == Path(name)
    assert recipe_file(str(tmp_path / "mine")) == tmp_path / "mine"


def test_a_wrong_name_lists_those_that_there_are() -> None:
    with pytest.raises(RecipeError) as caught:
        recipe_file("own_images_65")
    assert str(caught.value) == (
        f"There is no recipe own_images_65. Name a TOML file or a shipped recipe: {', '.join(names())}."
    )
