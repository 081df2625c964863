"""Encoder, critics and objectives of one recipe: from views to a loss."""

from collections.abc import Sequence

import torch
from torch import Generator, Tensor, nn

from training.critics import Critic, build_critic
from training.encoders import Encoder, Encoding, build_encoder
from training.errors import RecipeError
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
        if objective.prior_weight:
            raise RecipeError("prior")
        shapes = _shapes(self.encoder)
        target_units = _layer(shapes, objective.target).shape[1]
        estimator = build_estimator(objective.estimator)
        critic = recipe.critic

        def scored(channels: int) -> Critic:
            return build_critic(critic.name, channels, target_units, critic.units, critic.temperature)

        self.local = nn.ModuleDict()
        if objective.local_weight:
            for name in objective.maps:
                channels = _layer(shapes, name).shape[1]
                self.local[name] = Local(scored(channels), estimator, objective.positions)
        self.global_ = (
            Global(scored(shapes.features[0].numel()), estimator) if objective.global_weight else None
        )
        self.pairwise = (
            Pairwise(target_units, critic.units, critic.temperature or 1.0, estimator)
            if objective.pairwise_weight
            else None
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
        first, last = _by_view(encoding, len(views))
        pairs = [(first, last)] if len(views) == 1 else [(first, last), (last, first)]
        terms: dict[str, tuple[float, list[Measured]]] = {}
        objective = self._objective
        for name, local in self.local.items():
            terms[f"local_{name}"] = (
                objective.local_weight * objective.maps[name],
                [local(_layer(a, name), _layer(b, objective.target), generator) for a, b in pairs],
            )
        if self.global_ is not None:
            terms["global"] = (
                objective.global_weight,
                [self.global_(a.features, _layer(b, objective.target)) for a, b in pairs],
            )
        if self.pairwise is not None:
            terms["pairwise"] = (
                objective.pairwise_weight,
                [self.pairwise(_layer(first, objective.target), _layer(last, objective.target))],
            )
        loss = encoding.code.new_zeros(())
        values: dict[str, float] = {}
        for name, (weight, measured) in terms.items():
            mean = torch.stack([one.loss for one in measured]).mean()
            loss = loss + weight * mean
            values[f"{name}_loss"] = mean.item()
            bounds = [one.bound for one in measured if one.bound is not None]
            if bounds:
                values[f"{name}_nats"] = torch.stack(bounds).mean().item()
        return loss, values, encoding.code

    def minimised(self) -> list[nn.Parameter]:
        """Parameters that lower the loss: the encoder's and the critics'."""
        return list(self.parameters())

    def adversary(self) -> list[nn.Parameter]:
        """Parameters that oppose the encoder: the prior's discriminator."""
        return []

    def adversary_loss(self, codes: Tensor, generator: Generator) -> Tensor:
        """The discriminator's own loss on codes [N, Y], which are detached."""
        raise RecipeError("prior")


def _layer(encoding: Encoding, name: str) -> Tensor:
    layer: Tensor = getattr(encoding, name)
    return layer


def _by_view(encoding: Encoding, views: int) -> tuple[Encoding, Encoding]:
    """The encodings of the first and the last view, which are the same one when there is one."""
    layers = [layer.chunk(views) for layer in encoding]
    return Encoding(*(parts[0] for parts in layers)), Encoding(*(parts[-1] for parts in layers))


@torch.no_grad()
def _shapes(encoder: Encoder) -> Encoding:
    """Layers of one empty image, for their shapes; evaluation mode leaves the running statistics alone."""
    encoder.eval()
    encoding: Encoding = encoder(torch.zeros(1, 3, encoder.input_size, encoder.input_size))
    encoder.train()
    return encoding
