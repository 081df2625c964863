"""Whether a checkpoint may be continued with what was asked for, and what differs where it may not."""

import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from contract.counts import counted
from training.errors import TrainingError
from training.loop.provenance import Provenance
from training.recipe import Recipe

_log = logging.getLogger(__name__)

_NAMED = 3


def check_resumable(
    folder: Path, state: dict[str, Any], recipe: Recipe, provenance: Provenance, total_steps: int
) -> None:
    """Compare a checkpoint with a run that is to continue from it.

    Only the number of epochs may differ: a run can be extended, or end earlier than planned.

    Args:
        folder: of the run.
        state: the checkpoint.
        recipe, provenance, total_steps: of the run that is to continue.

    Raises:
        TrainingError: naming each key that differs, with both values.
    """
    try:
        # Keys that were added with a default since then are filled in.
        saved = Recipe.model_validate_json(state["recipe"])
    except ValidationError as error:
        key = ".".join(map(str, error.errors()[0]["loc"]))
        raise TrainingError(
            f"The checkpoint in {folder} has another recipe: this version does not understand its {key}. "
            "Resume with the version that made it."
        ) from error
    differing = [one for one in differences(saved, recipe) if one[0] != "epochs"]
    if differing:
        named = "; ".join(
            f"{key} is {_written(theirs)} there and {_written(own)} here"
            for key, theirs, own in differing[:_NAMED]
        )
        more = "" if len(differing) <= _NAMED else f"; and {len(differing) - _NAMED} more"
        raise TrainingError(
            f"The checkpoint in {folder} has another recipe: {named}{more}. "
            "Resume with the same values, or train in another folder."
        )
    # Checkpoints of before it was recorded have no provenance.
    made_by = state.get("provenance") or {}
    _check_images(folder, made_by.get("images", ""), provenance.images)
    precision = made_by.get("precision", provenance.precision)
    if precision != provenance.precision:
        raise TrainingError(
            f"The checkpoint in {folder} was computed in {precision} and this would be "
            f"{provenance.precision}. Resume with --precision {precision}."
        )
    if total_steps < state["step"]:
        raise TrainingError(
            f"The run in {folder} has taken {state['step']:,} steps, more than the {total_steps:,} of "
            f"{counted(recipe.epochs, 'epoch')}. Resume with more --epochs."
        )
    if recipe.epochs != saved.epochs:
        _log.warning(
            "the run in %s changes from %d to %d epochs; the learning rate follows the new length",
            folder,
            saved.epochs,
            recipe.epochs,
        )


def differences(saved: Recipe, own: Recipe) -> Iterator[tuple[str, object, object]]:
    """List the keys in which two recipes differ, with both values."""
    yield from _compare("", saved.model_dump(mode="json"), own.model_dump(mode="json"))


def _compare(key: str, saved: object, own: object) -> Iterator[tuple[str, object, object]]:
    if isinstance(saved, dict) and isinstance(own, dict):
        for name in dict.fromkeys([*saved, *own]):
            yield from _compare(f"{key}.{name}".removeprefix("."), saved.get(name), own.get(name))
    elif saved != own:
        yield key, saved, own


def _written(value: object) -> str:
    return "absent" if value is None else repr(value)


def _check_images(folder: Path, made_of: str, given: str) -> None:
    if made_of and given and made_of != given:
        raise TrainingError(
            f"The checkpoint in {folder} was made of other images (SHA-256 {made_of[:12]}…, these are "
            f"{given[:12]}…). Resume with those, or train in another folder."
        )
