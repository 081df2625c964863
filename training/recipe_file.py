"""Recipes as TOML: read from a file or a card, and written so that the same run can be made again."""

import json
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError
from pydantic_core import ErrorDetails

from training.errors import RecipeError
from training.model.buildable import check_buildable
from training.recipe import SECTIONS, Recipe


def load_recipe(path: Path) -> Recipe:
    """Read a recipe that can be trained.

    Raises:
        RecipeError: naming the file, the first wrong key, its value and what is allowed.
    """
    try:
        return _parse(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise RecipeError(f"There is no recipe {path}; shipped ones lie in training/recipes/.") from error
    except OSError as error:
        raise RecipeError(f"The recipe {path} cannot be read: {error.strerror}.") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise RecipeError(f"{path} is not valid TOML: {error}.") from error
    except ValidationError as error:
        raise RecipeError(f"{path}: {_complaint(error.errors()[0])}.") from error
    except RecipeError as error:
        raise RecipeError(f"{path}: {error}") from error


def load_recorded(path: Path) -> Recipe:
    """Read the recipe that a run has written into its folder.

    Raises:
        RecipeError: there is none, or this version does not understand it.
    """
    try:
        recipe = Recipe.model_validate_json(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise RecipeError(f"There is no {path}. Name the recipe of the run with --recipe.") from error
    except (UnicodeDecodeError, ValidationError) as error:
        raise RecipeError(
            f"{path} is not the recipe of a run. Name it with --recipe, or train in another folder."
        ) from error
    check_buildable(recipe)
    return recipe


def from_toml(text: str) -> Recipe:
    """Read a recipe out of a card.

    Raises:
        RecipeError: this version of Infomax does not understand it.
    """
    try:
        return _parse(text)
    except (tomllib.TOMLDecodeError, ValidationError, RecipeError) as error:
        raise RecipeError(f"The card's recipe is not understood by this version ({error}).") from error


class ImageSplit(BaseModel):
    """How a card's training images were parted.

    Attributes:
        held_out_share, validation_share, seed: as a recipe has them; older cards set no images aside.
    """

    model_config = ConfigDict(frozen=True, extra="ignore")

    held_out_share: float = Field(default=0.0, ge=0, lt=1)
    validation_share: float = Field(gt=0, lt=1)
    seed: int = Field(ge=0)


def split_of(text: str) -> ImageSplit:
    """Read from a card's recipe how its images were parted; what made the encoder need not be installed.

    Raises:
        RecipeError: it does not say so.
    """
    try:
        return ImageSplit.model_validate(tomllib.loads(text))
    except (tomllib.TOMLDecodeError, ValidationError) as error:
        raise RecipeError(f"The card's recipe does not say how its images were parted ({error}).") from error


def to_toml(recipe: Recipe) -> str:
    """Write every key with its value, defaults included; `from_toml` reads the same recipe."""
    # Through JSON, which leaves plain values of four types. TOML has no null: what is absent is None.
    return toml_of(json.loads(recipe.model_dump_json(exclude_none=True)))


def toml_of(record: Mapping[str, Any]) -> str:
    """Write plain values, and one level of sections, as TOML."""
    sections = {name: value for name, value in record.items() if isinstance(value, dict)}
    lines = [f"{name} = {_value(value)}" for name, value in record.items() if name not in sections]
    for name, section in sections.items():
        lines += ["", f"[{name}]", *(f"{key} = {_value(value)}" for key, value in section.items())]
    return "\n".join(lines) + "\n"


def _parse(text: str) -> Recipe:
    recipe = Recipe.model_validate(tomllib.loads(text))
    check_buildable(recipe)
    return recipe


def _complaint(error: ErrorDetails) -> str:
    """Say what is wrong with one key, in one clause."""
    where = error["loc"]
    key = ".".join(str(part) for part in where if part != "[key]")
    match error["type"]:
        case "value_error":
            message = error["msg"].removeprefix("Value error, ")
            return f"{key}: {message}" if key else message
        case "missing":
            return f"{key} is missing"
        case "extra_forbidden" | "unexpected_keyword_argument":
            section = SECTIONS[where[0]] if len(where) > 1 else Recipe
            return f"there is no key {key}; choose one of {', '.join(section.__annotations__)}"
        case _:
            return f"{key}: {error['msg'].replace('Input should', 'it has to')}, and is {error['input']!r}"


def _value(value: object) -> str:
    if isinstance(value, dict):
        return "{ " + ", ".join(f"{key} = {_value(item)}" for key, item in value.items()) + " }"
    # Strings, numbers and truth values are written alike in both languages.
    return json.dumps(value, ensure_ascii=False)
