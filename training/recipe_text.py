"""A recipe as TOML, so that a card can carry what made its weights in the form that makes them again."""

import json
import tomllib
from typing import Any

from pydantic import ValidationError

from training.errors import RecipeError
from training.recipe import Recipe


def to_toml(recipe: Recipe) -> str:
    """Every key with its value, defaults included; `from_toml` reads the same recipe."""
    # Through JSON, which leaves plain values of four types. TOML has no null: what is absent is None.
    record: dict[str, Any] = json.loads(recipe.model_dump_json(exclude_none=True))
    sections = {name: value for name, value in record.items() if isinstance(value, dict)}
    lines = [f"{name} = {_value(value)}" for name, value in record.items() if name not in sections]
    for name, section in sections.items():
        lines += ["", f"[{name}]", *(f"{key} = {_value(value)}" for key, value in section.items())]
    return "\n".join(lines) + "\n"


def from_toml(text: str) -> Recipe:
    """Read a recipe out of a card.

    Raises:
        RecipeError: this version of Infomax does not understand it.
    """
    try:
        return Recipe.model_validate(tomllib.loads(text))
    except (tomllib.TOMLDecodeError, ValidationError) as error:
        raise RecipeError(f"The card's recipe is not understood by this version ({error}).") from error


def _value(value: object) -> str:
    if isinstance(value, dict):
        return "{ " + ", ".join(f"{key} = {_value(item)}" for key, item in value.items()) + " }"
    # Strings, numbers and truth values are written alike in both languages.
    return json.dumps(value, ensure_ascii=False)
