"""Noise as targets (Bojanowski and Joulin 2017): predict random vectors, and deal them out as fits best.

Each training image owns one fixed target, drawn uniformly from the unit sphere. The encoder moves codes
towards their targets; within each batch the targets are first exchanged between images so that the sum of
distances is smallest. So similar images end up with similar targets, and codes spread over the sphere.
"""

from collections.abc import Sequence

import torch
import torch.nn.functional as F  # noqa: N812  (torch's own convention)
from torch import Generator, Tensor

from training.experiments.baselines.assignment import cheapest_assignment
from training.model.encoders import Encoder
from training.model.trainable import Trainable


class NoiseAsTargets(Trainable):
    """The encoder whose codes, at unit length, are drawn to targets.

    Args:
        encoder: what is trained.
        code_units: Y, of a code.
        images: N, how many training images there are.
        seed: of the targets.
    """

    def __init__(self, encoder: Encoder, code_units: int, images: int, seed: int) -> None:
        super().__init__()
        self.encoder = encoder
        generator = Generator().manual_seed(seed)
        targets = F.normalize(torch.randn(images, code_units, generator=generator), dim=1)
        self.register_buffer("_targets", targets, persistent=False)
        self._targets: Tensor
        # Which target each image owns; a buffer, so that a checkpoint carries it.
        self.register_buffer("owned", torch.arange(images))
        self.owned: Tensor

    def forward(
        self, views: Sequence[Tensor], _generator: Generator, rows: Tensor
    ) -> tuple[Tensor, dict[str, float], Tensor]:
        """Return the mean squared distance of unit codes to their targets (equation 5), after the exchange.

        `exchanged` is the share of images that were given another target.
        """
        code = self.encoder(torch.cat(list(views))).code
        # In float32 from here on, also after an encoder in bfloat16: cosines decide the exchange.
        unit = F.normalize(code.float(), dim=1)
        mean = torch.stack(unit.chunk(len(views))).mean(dim=0).detach()
        rows = rows.to(unit.device)
        before = self.owned[rows]
        # Between unit vectors the squared distance is 2 - 2 cos, so the largest total cosine is wanted.
        with torch.autocast(unit.device.type, enabled=False):
            cosines = mean @ self._targets[before].T
        order = cheapest_assignment(-cosines.cpu().numpy())
        after = before[torch.from_numpy(order).to(before.device)]
        self.owned[rows] = after
        targets = self._targets[after].repeat(len(views), 1)
        loss = (unit - targets).square().sum(dim=1).mean()
        return loss, {"exchanged": (after != before).float().mean().item()}, code
