"""Fits the small networks that measures ask: every choice on training images, none on held-out ones."""

import copy
import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from torch import Generator, Tensor, nn

from contract.progress import Progress
from training.data.image_set import split_rows
from training.optim.optimiser import adamw, rate_share, set_rates
from training.recipe import OptimiserRecipe
from training.system.signals import Interruption

_VALIDATION_SHARE = 0.1
_LEAST_STEPS, _LEAST_STEPS_PER_EPOCH = 300, 8


class Stopped(Exception):  # noqa: N818  (not an error)
    """Request to stop; what is being fitted is given up."""


@dataclass(frozen=True)
class FitSchedule:
    """Schedule by which a network is fitted.

    Attributes:
        epochs: passes over the rows; more where they would make fewer than 300 steps.
        optimiser: AdamW's settings.
        batch_size: rows in a step; fewer where they would make fewer than 8 steps in an epoch.
    """

    epochs: int
    optimiser: OptimiserRecipe
    batch_size: int = 256

    def rows_per_step(self, rows: int) -> int:
        """Return the batch size for so many rows, at least 2."""
        return max(2, min(self.batch_size, rows // _LEAST_STEPS_PER_EPOCH))

    def epochs_of(self, steps_per_epoch: int) -> int:
        """Return the number of epochs."""
        return max(self.epochs, -(-_LEAST_STEPS // steps_per_epoch))


def parts(count: int, seed: int) -> tuple[Tensor, Tensor]:
    """Part the rows of `count` training images into those to fit on and to choose on, ascending int64.

    Raises:
        DataError: there are too few to hold any out.
    """
    held_out, rest = split_rows(count, _VALIDATION_SHARE, seed)
    return torch.from_numpy(rest.astype(np.int64)), torch.from_numpy(held_out.astype(np.int64))


def fit(
    network: nn.Module,
    rows: Tensor,
    loss: Callable[[Tensor], Tensor],
    score: Callable[[], float],
    schedule: FitSchedule,
    *,
    seed: int,
    title: str,
    interruption: Interruption,
) -> float:
    """Lower `loss` and keep the weights of the epoch with the highest score, the untrained ones included.

    Args:
        network: what is fitted, in place; in evaluation mode afterwards.
        rows: int64 [N] of the training images to fit on.
        loss: of some of these rows, a scalar.
        score: asked after every epoch, without gradient and in evaluation mode.
        schedule: how long and in what steps.
        seed: of the batches.
        title: what the progress is called.
        interruption: checked before every step.

    Returns:
        The highest score.

    Raises:
        Stopped: a stop was requested.
    """
    generator = Generator().manual_seed(seed)
    size = schedule.rows_per_step(len(rows))
    steps_per_epoch = len(rows) // size
    epochs = schedule.epochs_of(steps_per_epoch)
    total = epochs * steps_per_epoch
    optimiser = adamw(network.parameters(), schedule.optimiser)
    step = 0
    best, kept = -math.inf, copy.deepcopy(network.state_dict())
    with Progress(title) as progress:
        for epoch in range(epochs + 1):
            if epoch:
                order = rows[torch.randperm(len(rows), generator=generator)]
                network.train()
                for batch in order[: steps_per_epoch * size].split(size):
                    if interruption.requested:
                        raise Stopped
                    set_rates([optimiser], rate_share(schedule.optimiser, step, total))
                    optimiser.zero_grad()
                    loss(batch).backward()
                    optimiser.step()
                    step += 1
            network.eval()
            with torch.no_grad():
                value = score()
            progress.update(epoch, epochs, f"held out {value:.4g}")
            # NaN is never the best.
            if value > best:
                best, kept = value, copy.deepcopy(network.state_dict())
    network.load_state_dict(kept)
    return best
