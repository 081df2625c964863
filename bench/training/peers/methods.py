"""Peers: the recipe's encoder with a projector on its layer fc, trained by a public loss on two views.

Projectors have 2,048 hidden units, and 256 outputs for SimCLR and BYOL, as in solo-learn's recipes for
CIFAR-10 (da Costa et al. 2022, JMLR 23). Losses have lightly's own settings, but for SimCLR's temperature of
0.2.
"""

import copy
from collections.abc import Callable, Sequence
from pathlib import Path

import torch
import torch.nn.functional as F  # noqa: N812  (torch's own convention)
from torch import Generator, Tensor, nn

from bench.training.peers.lightly import loss_module
from training.model.encoders import build_encoder, layer_shapes
from training.model.learner import Learner
from training.model.trainable import Trainable
from training.recipe import Recipe

Build = Callable[[Recipe], Trainable]
Loss = Callable[[Tensor, Tensor], Tensor]

OURS = "infomax"
_HIDDEN = 2048
_MOMENTUM = 0.99


class Projected(Trainable):
    """Encoder and projector under a loss of the two views' projections, each float32 [B, U].

    Args:
        recipe: of the encoder.
        projector: layers behind fc, from the number of its units.
        loss: of both projections.
    """

    def __init__(self, recipe: Recipe, projector: Callable[[int], nn.Module], loss: Loss) -> None:
        super().__init__()
        self.encoder = build_encoder(recipe.encoder, recipe.input_size)
        self.projector = projector(layer_shapes(self.encoder).fc.shape[1])
        self._loss = loss

    def forward(
        self, views: Sequence[Tensor], _generator: Generator, _rows: Tensor | None = None
    ) -> tuple[Tensor, dict[str, float], Tensor]:
        """Encode both views as one batch, as ours are: batch normalisation treats all methods alike."""
        encoding = self.encoder(torch.cat(list(views)))
        loss = self.compared(views, self.projector(encoding.fc).float())
        return loss, {}, encoding.code

    def compared(self, _views: Sequence[Tensor], projected: Tensor) -> Tensor:
        """Compute the loss of projections [2 B, U]."""
        return self._loss(*projected.chunk(2))


class Predicting(Projected):
    """BYOL (Grill et al. 2020): a predictor follows a slowly moving copy of encoder and projector."""

    def __init__(self, recipe: Recipe, projector: Callable[[int], nn.Module], loss: Loss, units: int) -> None:
        super().__init__(recipe, projector, loss)
        self.predictor = perceptron(units, units, layers=2)
        # Made at the first step, when the encoder knows its images; no parameter of the optimiser.
        self._targets: list[nn.ModuleList] = []

    def compared(self, views: Sequence[Tensor], projected: Tensor) -> Tensor:
        target = self._target()
        with torch.no_grad():
            encoder, projector = target
            wanted = projector(encoder(torch.cat(list(views))).fc).float()
        first, second = self.predictor(projected).chunk(2)
        own, other = wanted.chunk(2)
        return (self._loss(first, other) + self._loss(second, own)) / 2

    @torch.no_grad()
    def _target(self) -> nn.ModuleList:
        online = nn.ModuleList([self.encoder, self.projector])
        if not self._targets:
            self._targets.append(copy.deepcopy(online).requires_grad_(False))
        (target,) = self._targets
        for slow, fast in zip(target.parameters(), online.parameters(), strict=True):
            slow.lerp_(fast, 1 - _MOMENTUM)
        return target


def perceptron(inputs: int, outputs: int, layers: int) -> nn.Sequential:
    """Build linear layers of 2,048 hidden units with batch normalisation and ReLU between them."""
    made: list[nn.Module] = []
    for _ in range(layers - 1):
        made += [nn.Linear(inputs, _HIDDEN, bias=False), nn.BatchNorm1d(_HIDDEN), nn.ReLU()]
        inputs = _HIDDEN
    return nn.Sequential(*made, nn.Linear(inputs, outputs))


def builders(environment: Path) -> dict[str, Build]:
    """Return what builds each method, ours first.

    Raises:
        NoLightlyError: the environment lacks the losses.
    """

    def load(module: str) -> object:
        return loss_module(module, environment)

    contrastive = load("ntx_ent_loss").NTXentLoss(temperature=0.2)  # type: ignore[attr-defined]
    cosine = load("negative_cosine_similarity").NegativeCosineSimilarity()  # type: ignore[attr-defined]
    variance = load("vicreg_loss").VICRegLoss()  # type: ignore[attr-defined]
    redundancy = load("barlow_twins_loss").BarlowTwinsLoss()  # type: ignore[attr-defined]
    patches = load("emp_ssl_loss")

    def coding_rate(first: Tensor, second: Tensor) -> Tensor:
        """EMP-SSL (Tong et al. 2023): lightly's two terms, of unit vectors as the authors have them.

        The coding rate is maximised, as in the paper's equation 4; lightly's sum has it with the other sign.
        """
        views = torch.stack([F.normalize(first, dim=1), F.normalize(second, dim=1)])
        alike: Tensor = patches.invariance_loss(views)  # type: ignore[attr-defined]
        rate: Tensor = patches.tcr_loss(views, eps=0.2)  # type: ignore[attr-defined]
        return 200 * alike - rate

    return {
        OURS: Learner,
        "SimCLR": lambda recipe: Projected(recipe, lambda units: perceptron(units, 256, 2), contrastive),
        "BYOL": lambda recipe: Predicting(recipe, lambda units: perceptron(units, 256, 2), cosine, 256),
        "VICReg": lambda recipe: Projected(recipe, lambda units: perceptron(units, 2048, 3), variance),
        "Barlow Twins": lambda recipe: Projected(
            recipe, lambda units: perceptron(units, 2048, 3), redundancy
        ),
        "EMP-SSL": lambda recipe: Projected(recipe, lambda units: perceptron(units, 512, 2), coding_rate),
    }
