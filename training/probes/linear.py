"""Multinomial logistic regression on one frozen layer, the probe of the field.

What has to be chosen is chosen on a validation part of the training data; then the classifier is fitted anew
on all of it and the test set is read once.
"""

import math
from dataclasses import dataclass
from itertools import product

import torch
import torch.nn.functional as F  # noqa: N812  (torch's own convention)
from torch import Generator, Tensor

from training.data.image_set import split_rows
from training.progress import Progress

_EPOCHS = 12
_BATCH = 512
_FEWEST_STEPS = 200
_VALIDATION_SHARE = 0.1
# The score of D standardised dimensions grows with their number, so a step has to shrink with it.
_STEPS = (0.2, 0.6)
_DECAYS = (0.01, 0.1, 1.0)


@dataclass(frozen=True)
class Choice:
    """What the validation part decides.

    Attributes:
        learning_rate: of AdamW, falling to 0 by a cosine.
        weight_decay: of the weights, not of the biases.
    """

    learning_rate: float
    weight_decay: float


@dataclass(frozen=True)
class LinearProbe:
    """A fitted classifier on vectors [N, D].

    Attributes:
        weights, biases: float32 [D, classes] and [classes], for standardised inputs.
        mean, scale: float32 [D], what inputs are standardised by.
        choice: what the validation part decided.
    """

    weights: Tensor
    biases: Tensor
    mean: Tensor
    scale: Tensor
    choice: Choice

    def accuracy(self, vectors: Tensor, labels: Tensor) -> float:
        """Share of vectors, float32 [N, D], that are given their label, int64 [N]."""
        weights = self.weights / self.scale[:, None]
        scores = vectors @ weights + (self.biases - self.mean @ weights)
        return float((scores.argmax(dim=1) == labels).float().mean())


def fit_linear(vectors: Tensor, labels: Tensor, classes: int, seed: int) -> LinearProbe:
    """Choose on a validation part of float32 [N, D] with int64 labels [N], then fit on all of them.

    The same vectors, labels and seed give the same classifier on the same machine.

    Raises:
        DataError: there are too few vectors to hold any out.
    """
    dimensions = vectors.shape[1]
    choices = [Choice(step / math.sqrt(dimensions), decay) for step, decay in product(_STEPS, _DECAYS)]
    mean, scale = vectors.mean(dim=0), vectors.std(dim=0).clamp_min(1e-4)
    standardised = (vectors - mean).div_(scale)
    held_out, rest = (torch.from_numpy(r) for r in split_rows(len(vectors), _VALIDATION_SHARE, seed))
    weights, biases = _descend(standardised, labels, rest, classes, choices, seed, "choosing")
    scores = torch.einsum("nd,gdc->ngc", standardised[held_out], weights) + biases
    right = (scores.argmax(dim=2) == labels[held_out, None]).float().mean(dim=0)
    best = choices[int(right.argmax())]
    weights, biases = _descend(
        standardised, labels, torch.arange(len(vectors)), classes, [best], seed, "fitting"
    )
    return LinearProbe(weights[0], biases[0], mean, scale, best)


def _descend(
    inputs: Tensor,
    labels: Tensor,
    rows: Tensor,
    classes: int,
    choices: list[Choice],
    seed: int,
    title: str,
) -> tuple[Tensor, Tensor]:
    """Fit a classifier for each choice on the same batches: weights [G, D, classes], biases [G, 1, classes].

    Reading the inputs is what costs time, so all choices share one pass. They do not meet: each loss
    depends on its own parameters alone, and AdamW treats every number by itself.
    """
    count, groups = len(rows), len(choices)
    weights = [torch.zeros(inputs.shape[1], classes, requires_grad=True) for _ in choices]
    biases = [torch.zeros(classes, requires_grad=True) for _ in choices]
    optimiser = torch.optim.AdamW(
        [
            {"params": [parameter], "lr": choice.learning_rate, "weight_decay": decay}
            for choice, weight, bias in zip(choices, weights, biases, strict=True)
            for parameter, decay in ((weight, choice.weight_decay), (bias, 0.0))
        ],
        fused=True,
    )
    batch = min(_BATCH, count)
    # Few images take as many steps as a pass over some thousands would, or nothing is learned.
    epochs = max(_EPOCHS, math.ceil(_FEWEST_STEPS * batch / count))
    total = epochs * (count // batch)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, total)
    generator = Generator().manual_seed(seed)
    step = 0
    with Progress(title) as progress:
        for _ in range(epochs):
            order = rows[torch.randperm(count, generator=generator)]
            for some in order[: count // batch * batch].split(batch):
                scores = inputs[some] @ torch.cat(weights, dim=1) + torch.cat(biases)
                losses = F.cross_entropy(
                    scores.view(batch * groups, classes),
                    labels[some].repeat_interleave(groups),
                    reduction="sum",
                )
                optimiser.zero_grad()
                (losses / batch).backward()
                optimiser.step()
                schedule.step()
                step += 1
                progress.update(step, total)
    with torch.no_grad():
        return torch.stack(weights), torch.stack(biases)
