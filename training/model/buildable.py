"""Whether the registries can build what a recipe names, found out before anything is read or computed."""

import torch

from training.errors import RecipeError
from training.model.critics import build_critic
from training.model.encoders import Encoder, build_encoder, layer_shapes, takes
from training.model.estimators import build_estimator
from training.recipe import Recipe


def check_buildable(recipe: Recipe) -> None:
    """Build what the recipe names on the meta device, where nothing is computed.

    Raises:
        RecipeError: a name is not registered, or two choices do not fit together.
    """
    with torch.device("meta"):
        encoder = build_encoder(recipe.encoder, recipe.input_size)
        build_critic(recipe.critic.name, 1, 1, recipe.critic.units, recipe.critic.temperature)
        build_estimator(recipe.objective.estimator)
    _check_small_views(recipe, encoder)
    _check_positions(recipe, encoder)


def _check_small_views(recipe: Recipe, encoder: Encoder) -> None:
    small = recipe.small_views
    if small is not None and not takes(encoder, small.size):
        raise RecipeError(
            f"small_views.size is {small.size}, which {recipe.encoder.name} cannot encode; "
            "take another size, residual32 or residual128, or leave the section out."
        )


def _check_positions(recipe: Recipe, encoder: Encoder) -> None:
    objective = recipe.objective
    if objective.positions is None or not objective.local_weight:
        return
    with torch.device("meta"):
        layers = layer_shapes(encoder)
    patches = {name: getattr(layers, name)[0, 0].numel() for name in objective.maps}
    if objective.positions > max(patches.values()):
        counts = ", ".join(f"{name} has {count}" for name, count in patches.items())
        raise RecipeError(
            f"objective.positions is {objective.positions}, more than any map of {recipe.encoder.name} has "
            f"patches ({counts}); ask for fewer, or leave it out to take all."
        )
