"""Encoder, critics and objectives of one recipe: from views to a loss."""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import torch
from torch import Generator, Tensor, nn

from training.model.critics import Critic, build_critic
from training.model.encoders import Encoding, Maps, build_encoder, layer_shapes
from training.model.estimators import build_estimator
from training.model.objectives import Global, Local, ObjectiveValue, Pairwise, PriorMatching
from training.model.priors import PRIORS
from training.model.trainable import Trainable
from training.recipe import Recipe


class _Term(NamedTuple):
    """One summand of the loss: its weight, and its measurements, one for each way round of the views."""

    name: str
    weight: float
    measured: list[ObjectiveValue]


class Learner(Trainable):
    """Everything that a recipe of Deep InfoMax trains.

    Raises:
        RecipeError: the recipe names something that does not exist or does not fit together.
    """

    def __init__(self, recipe: Recipe) -> None:
        super().__init__()
        self.encoder = build_encoder(recipe.encoder, recipe.input_size)
        self._objective = objective = recipe.objective
        shapes = layer_shapes(self.encoder)
        target_units = _layer(shapes, objective.target).shape[1]
        estimator = build_estimator(objective.estimator)
        critic = recipe.critic

        def scored(channels: int) -> Critic:
            return build_critic(critic.name, channels, target_units, critic.units, critic.temperature)

        self._map_weights: dict[str, float] = dict(objective.maps.items())
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
        self.prior = (
            PriorMatching(shapes.code.shape[1], PRIORS[objective.prior]) if objective.prior_weight else None
        )

    def forward(
        self, views: Sequence[Tensor | Maps], generator: Generator, _rows: Tensor | None = None
    ) -> tuple[Tensor, dict[str, float], Tensor]:
        """Compute one loss from one or two views, each float32 [B, 3, H, W], of the same B images.

        With two views, patches of each are scored against the global vectors of the other.

        Returns:
            The scalar loss; every term's loss and bound in nats by name; the codes [views x B, Y].
        """
        encoding = self._encode(views)
        loss = encoding.code.new_zeros(())
        values: dict[str, float] = {}
        for term in self._terms(encoding, len(views), generator):
            mean = torch.stack([one.loss for one in term.measured]).mean()
            loss = loss + term.weight * mean
            values[f"{term.name}_loss"] = mean.item()
            bounds = [one.bound for one in term.measured if one.bound is not None]
            if bounds:
                values[f"{term.name}_nats"] = torch.stack(bounds).mean().item()
        return loss, values, encoding.code

    def _encode(self, views: Sequence[Tensor | Maps]) -> Encoding:
        maps = [view for view in views if isinstance(view, Maps)]
        if maps:
            return self.encoder.encode_maps(*(torch.cat(layer) for layer in zip(*maps, strict=True)))
        encoding: Encoding = self.encoder(torch.cat([view for view in views if isinstance(view, Tensor)]))
        return encoding

    def _terms(self, encoding: Encoding, views: int, generator: Generator) -> Iterator[_Term]:
        objective = self._objective
        first, last = _by_view(encoding, views)
        pairs = [(first, last)] if views == 1 else [(first, last), (last, first)]
        for layer, local in self.local.items():
            measured = [local(_layer(a, layer), _layer(b, objective.target), generator) for a, b in pairs]
            yield _Term(f"local_{layer}", objective.local_weight * self._map_weights[layer], measured)
        if self.global_ is not None:
            measured = [self.global_(a.features, _layer(b, objective.target)) for a, b in pairs]
            yield _Term("global", objective.global_weight, measured)
        if self.pairwise is not None:
            measured = [self.pairwise(_layer(first, objective.target), _layer(last, objective.target))]
            yield _Term("pairwise", objective.pairwise_weight, measured)
        if self.prior is not None:
            yield _Term("prior", objective.prior_weight, [ObjectiveValue(self.prior(encoding.code), None)])

    def minimised(self) -> list[nn.Parameter]:
        """Return parameters that lower the loss: the encoder's and the critics'."""
        opponents = set(self.adversary())
        return [parameter for parameter in self.parameters() if parameter not in opponents]

    def adversary(self) -> list[nn.Parameter]:
        """Return parameters that oppose the encoder: the prior's discriminator, where there is a prior."""
        return [] if self.prior is None else list(self.prior.parameters())

    def adversary_loss(self, codes: Tensor, generator: Generator) -> tuple[Tensor, dict[str, float]]:
        """Compute what `adversary()` lowers, on the codes [N, Y] of `forward`, which get no gradient.

        Returns:
            The scalar loss; the loss and the accuracy (0.5: codes cannot be told from the prior) by name.

        Raises:
            ValueError: there is no adversary.
        """
        if self.prior is None:
            raise ValueError("the recipe has no prior, so nothing opposes the encoder")
        loss, accuracy = self.prior.discriminate(codes, generator)
        return loss, {"adversary_loss": loss.item(), "adversary_accuracy": accuracy.item()}


def _layer(encoding: Encoding, name: str) -> Tensor:
    layer: Tensor = getattr(encoding, name)
    return layer


def _by_view(encoding: Encoding, views: int) -> tuple[Encoding, Encoding]:
    """Split into the encodings of the first and the last view, which are equal when there is one."""
    layers = [layer.chunk(views) for layer in encoding]
    return Encoding(*(parts[0] for parts in layers)), Encoding(*(parts[-1] for parts in layers))
