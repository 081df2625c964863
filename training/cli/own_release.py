"""What a card says about a model of one's own images where its maker says nothing."""

from dataclasses import dataclass
from pathlib import Path

from training.export.model_card import Release
from training.recipe import Recipe


@dataclass(frozen=True)
class ModelStatements:
    """What the maker of a model has said about it; None or nothing where that is left open.

    Attributes:
        licence: of the weights.
        summary: what the model is.
        limits: what it is not good for.
        data, held_out: which images trained it, and which measured it.
    """

    licence: str
    summary: str | None = None
    limits: tuple[str, ...] = ()
    data: str | None = None
    held_out: str | None = None


def own_release(
    name: str, version: int, stated: ModelStatements, recipe: Recipe, train: Path, held_out: Path | None
) -> Release:
    """Complete the statements of a release by what is known of the run.

    Args:
        name, version: the model's id.
        stated: takes precedence.
        recipe: of the run.
        train: where its images come from.
        held_out: images that were kept apart; None for those that the run set aside.

    Raises:
        ExportError: the name cannot be one.
    """
    data = stated.data or train.name or str(train)
    size = recipe.input_size
    return Release(
        name,
        version,
        stated.licence,
        stated.summary
        or f"Deep InfoMax encoder of {size} x {size} pixels, trained without labels on {data}.",
        stated.limits
        or (
            f"It has seen no other images than {data}, and was not tried on others.",
            f"Details that cannot be seen at {size} x {size} pixels do not count.",
        ),
        data,
        stated.held_out
        or (f"{recipe.held_out_share:.1%} of {data}, set aside" if held_out is None else str(held_out)),
    )
