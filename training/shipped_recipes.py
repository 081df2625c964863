"""Recipes that come with Infomax, found by name from any folder."""

from pathlib import Path

from training.errors import RecipeError

_FOLDER = Path(__file__).parent / "recipes"


def names() -> list[str]:
    """Names of the shipped recipes, in alphabetical order."""
    return sorted(file.stem for file in _FOLDER.glob("*.toml"))


def recipe_file(text: str) -> Path:
    """Find the file that `--recipe` names: that of a shipped recipe, or else the path itself.

    Raises:
        RecipeError: it is neither; the message lists the shipped recipes.
    """
    if text in names():
        return _FOLDER / f"{text}.toml"
    path = Path(text)
    if not path.exists():
        raise RecipeError(
            f"There is no recipe {text}. Name a TOML file or a shipped recipe: {', '.join(names())}."
        )
    return path
