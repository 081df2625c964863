"""Encoder, critics and objectives of one recipe: from views to a loss."""

from collections.abc import Sequence

import torch
from torch import Generator, Tensor, nn

from training.critics import build_critic
from training.encoders import Encoding, build_encoder
from training.estimators import build_estimator
from training.objectives import Global, Local, Measured, Pairwise
from training.recipe import Recipe


class Learner(nn.Module):
    """Everything that a recipe trains.

    Raises:
        RecipeError: the recipe names something that does not exist or does not fit together.
    """

    def __init__(self, recipe: Recipe) -> None:
        super().__init__()
        self.encoder = build_encoder(recipe.encoder.name, recipe.encoder.code_units, recipe.input_size)
        self._objective = objective = recipe.objective
        shapes = _shapes(self.encoder, recipe.input_size)
        target_units = getattr(shapes, objective.target).shape[1]
        estimator = build_estimator(objective.estimator)
        critic = recipe.critic

        def scored(channels: int) -> nn.Module:
            return build_critic(critic.name, channels, target_units, critic.units, critic.temperature)

        self.terms = nn.ModuleDict()
        if objective.local_weight:
            for name in objective.maps:
                channels = getattr(shapes, name).shape[1]
                self.terms[f"local_{name}"] = Local(scored(channels), estimator, objective.positions)
        if objective.global_weight:
            self.terms["global"] = Global(scored(shapes.features[0].numel()), estimator)
        if objective.pairwise_weight:
            self.terms["pairwise"] = Pairwise(
                target_units, critic.units, critic.temperature or 1.0, estimator
            )

    def forward(
        self, views: Sequence[Tensor], generator: Generator
    ) -> tuple[Tensor, dict[str, float], Tensor]:
        """One loss from one or two views, each float32 [B, 3, H, W], of the same B images.

        With two views, patches of each are scored against the global vectors of the other.

        Returns:
            The scalar loss; every term's loss and bound in nats by name; the codes [views x B, Y].
        """
        encoding = self.encoder(torch.cat(list(views)))
        parts = [Encoding(*layers) for layers in zip(*(layer.chunk(len(views)) for layer in encoding), strict=True)]
        first, last = parts[0], parts[-1]
        pairs = [(first, last), (last, first)] if len(parts) == 2 else [(first, first)]
        objective = self._objective
        loss = encoding.code.new_zeros(())
        values: dict[str, float] = {}
        for name, term in self.terms.items():
            if isinstance(term, Pairwise):
                weight = objective.pairwise_weight
                measured = [term(_target(first, objective.target), _target(last, objective.target))]
            elif isinstance(term, Global):
                weight = objective.global_weight
                measured = [term(own.features, _target(other, objective.target)) for own, other in pairs]
            else:
                weight = objective.local_weight
                layer = name.removeprefix("local_")
                measured = [
                    term(getattr(own, layer), _target(other, objective.target), generator)
                    for own, other in pairs
                ]
            mean = torch.stack([m.loss for m in measured]).mean()
            loss = loss + weight * mean
            values[f"{name}_loss"] = mean.item()
            bounds = [m.bound for m in measured if m.bound is not None]
            if bounds:
                values[f"{name}_nats"] = torch.stack(bounds).mean().item()
        return loss, values, encoding.code
