"""A recipe in a card is the recipe: it makes the same run again."""

from pathlib import Path

import pytest

from training.errors import RecipeError
from training.recipe import Recipe
from training.recipe_file import from_toml, load_recipe, to_toml

SHIPPED = sorted((Path(__file__).parents[2] / "training" / "recipes").glob("*.toml"))


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: path.stem)
def test_every_shipped_recipe_comes_out_as_it_went_in(path: Path, tmp_path: Path) -> None:
    recipe = load_recipe(path)
    text = to_toml(recipe)
    assert from_toml(text) == recipe
    # And `infomax train` reads it from a file.
    (tmp_path / "copy.toml").write_text(text, encoding="utf-8")
    assert load_recipe(tmp_path / "copy.toml") == recipe


def test_names_and_numbers_that_are_hard_to_write() -> None:
    recipe = Recipe.model_validate(
        {
            "name": 'quotes " and \\ and \n lines, ümlauts, 𝛑',
            "epochs": 1,
            "views": 1,
            "encoder": {"name": "dim32"},
            "optimiser": {"learning_rate": 1e-9, "weight_decay": 1e22},
        }
    )
    assert from_toml(to_toml(recipe)) == recipe


@pytest.mark.parametrize("text", ["epochs = ", 'name = "x"'])
def test_a_recipe_of_another_version_is_named(text: str) -> None:
    with pytest.raises(RecipeError, match="not understood by this version"):
        from_toml(text)
