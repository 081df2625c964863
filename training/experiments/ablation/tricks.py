"""The tricks, and a recipe without one of them."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from training.errors import RecipeError
from training.model.buildable import check_buildable
from training.recipe import Recipe

FULL = "nothing"


@dataclass(frozen=True)
class Trick:
    """One thing that a recipe does and could do without.

    Attributes:
        name: as the table and `--only` have it.
        undone: keys of the recipe, sections before a point, with the values that undo it.
        estimator: the trick is to have this one; None for tricks that any may have.
    """

    name: str
    undone: Mapping[str, Any]
    estimator: str | None = None

    def used_by(self, recipe: Recipe) -> bool:
        """Tell whether undoing it leaves another recipe, and one that still has something to learn."""
        if self.estimator not in (None, recipe.objective.estimator):
            return False
        try:
            return without(recipe, self) != recipe
        except RecipeError:
            return False


TRICKS = (
    Trick("whitened first layer", {"encoder.whitened": False}),
    Trick("Muon", {"optimiser.muon_learning_rate": None}),
    Trick("pairwise term", {"objective.pairwise_weight": 0.0}),
    Trick("local term", {"objective.local_weight": 0.0}),
    Trick("patches of the last map", {"objective.maps": {"features": 1.0}}),
    Trick("cosine scores", {"critic.temperature": None}),
    Trick("colour changes", {"augmentation.jitter": 0.0, "augmentation.grey": 0.0}),
    Trick("second view", {"views": 1, "objective.pairwise_weight": 0.0}),
    Trick("sampled positions", {"objective.positions": None}),
    Trick("small views", {"small_views.share": 0.0}),
    Trick("decoupled negatives", {"objective.estimator": "infonce"}, estimator="decoupled_infonce"),
)


def without(recipe: Recipe, trick: Trick) -> Recipe:
    """Undo a trick of a recipe; what is left is checked like any other.

    Raises:
        RecipeError: what is left of it is not a recipe.
    """
    content = recipe.model_dump()
    for key, value in trick.undone.items():
        *sections, last = key.split(".")
        place = content
        for section in sections:
            if place[section] is None:
                # There is nothing to undo, such as the colours of an augmentation that is not there.
                return recipe
            place = place[section]
        place[last] = value
    try:
        changed = Recipe.model_validate(content)
        check_buildable(changed)
    except (ValueError, RecipeError) as error:
        raise RecipeError(f"Without {trick.name}, {recipe.name} is not a recipe: {error}.") from error
    return changed


def choose(recipe: Recipe, only: tuple[str, ...]) -> tuple[Trick, ...]:
    """Choose the tricks of those names, or all that the recipe uses.

    Raises:
        RecipeError: there is no such trick, or the recipe does not use it.
    """
    used = {trick.name: trick for trick in TRICKS if trick.used_by(recipe)}
    unknown = [name for name in only if name not in used]
    if unknown:
        raise RecipeError(f"{recipe.name} has no trick {unknown[0]!r}; choose of {', '.join(used)}.")
    return tuple(used[name] for name in only) if only else tuple(used.values())
