"""Linear classifiers held down by a penalty: what logistic regression and the support vector machine share.

How strongly the weights are held down is chosen on a validation part of the training data; then the
classifier is fitted anew on all of it and the test set is read once. The objective is convex and minimised by
L-BFGS over all images at once (Liu and Nocedal 1989). So learning rate, batch and number of epochs need not
be chosen, and a few hundred images are treated as fairly as fifty thousand.
"""

from collections.abc import Callable
from dataclasses import dataclass

import torch
import torch.nn.functional as F  # noqa: N812  (torch's own convention)
from torch import Tensor

from contract.progress import Progress
from training.data.image_set import split_rows

# From strong to weak: each fit starts where the stronger one ended. The 4096 dimensions of a map want about
# 0.1, the 64 of a code about 1e-4.
PENALTIES = (1.0, 0.3, 0.1, 0.03, 0.01, 3e-3, 1e-3, 3e-4, 1e-4, 3e-5)
VALIDATION_SHARE = 0.1
_PATIENCE = 2
_CHOOSING_STEPS = 30
_FITTING_STEPS = 60

# Scores [N, classes] and labels int64 [N] to the mean loss of an image, convex in the scores.
Loss = Callable[[Tensor, Tensor], Tensor]


@dataclass(frozen=True)
class LinearProbe:
    """A fitted classifier on vectors [N, D].

    Attributes:
        weights, biases: float32 [classes, D] and [classes], for standardised inputs.
        mean, scale: float32 [D], what inputs are standardised by.
        penalty: what the validation part chose: half of it times the squared weights is added to the loss.
    """

    weights: Tensor
    biases: Tensor
    mean: Tensor
    scale: Tensor
    penalty: float

    def accuracy(self, vectors: Tensor, labels: Tensor) -> float:
        """Measure the share of vectors, float32 [N, D], that are given their label, int64 [N]."""
        weights = self.weights / self.scale
        return _accuracy(vectors, labels, weights, self.biases - weights @ self.mean)


def statistics(vectors: Tensor) -> tuple[Tensor, Tensor]:
    """Compute mean and deviation of each dimension of [N, D], the deviation large enough to divide by."""
    return vectors.mean(dim=0), vectors.std(dim=0).clamp_min(1e-4)


def fit_penalised(
    vectors: Tensor, labels: Tensor, classes: int, seed: int, title: str, loss: Loss
) -> LinearProbe:
    """Choose on a validation part of float32 [N, D] with int64 labels [N], then fit on all of them.

    Args:
        vectors, labels: what to fit.
        classes: how many there are; labels count from 0.
        seed: of the draw of the validation part, the only thing that is random.
        title: what the progress is called.
        loss: what is lowered.

    Raises:
        DataError: there are too few vectors to hold any out.
    """
    mean, scale = statistics(vectors)
    standardised = (vectors - mean).div_(scale)
    held_out, rest = (torch.from_numpy(r) for r in split_rows(len(vectors), VALIDATION_SHARE, seed))
    penalty, weights, biases = _choose(
        (standardised[rest], labels[rest]), (standardised[held_out], labels[held_out]), classes, title, loss
    )
    _minimise(standardised, labels, weights, biases, penalty, _FITTING_STEPS, loss)
    return LinearProbe(weights, biases, mean, scale, penalty)


def _choose(
    part: tuple[Tensor, Tensor], held_out: tuple[Tensor, Tensor], classes: int, title: str, loss: Loss
) -> tuple[float, Tensor, Tensor]:
    """Choose the penalty with the best held-out accuracy, and its classifier to continue from.

    Weaker penalties are no longer tried once two in a row were worse than the best.
    """
    weights, biases = torch.zeros(classes, part[0].shape[1]), torch.zeros(classes)
    best, chosen = -1.0, (PENALTIES[0], weights, biases)
    worse = 0
    with Progress(title) as progress:
        for number, penalty in enumerate(PENALTIES, start=1):
            _minimise(*part, weights, biases, penalty, _CHOOSING_STEPS, loss)
            accuracy = _accuracy(*held_out, weights, biases)
            progress.update(number, len(PENALTIES), f"penalty {penalty:g}: {accuracy:.4f} held out")
            if accuracy > best:
                best, chosen, worse = accuracy, (penalty, weights.clone(), biases.clone()), 0
            else:
                worse += 1
            if worse == _PATIENCE:
                break
    return chosen


def _minimise(
    inputs: Tensor,
    labels: Tensor,
    weights: Tensor,
    biases: Tensor,
    penalty: float,
    steps: int,
    loss: Loss,
) -> None:
    """Lower mean loss plus penalty / 2 · |weights|², changing weights and biases in place."""
    parameters = [weights.requires_grad_(), biases.requires_grad_()]
    optimiser = torch.optim.LBFGS(
        parameters, max_iter=steps, tolerance_grad=1e-5, line_search_fn="strong_wolfe"
    )

    def objective() -> Tensor:
        optimiser.zero_grad()
        value = loss(F.linear(inputs, weights, biases), labels)
        value = value + penalty / 2 * weights.square().sum()
        value.backward()
        return value

    optimiser.step(objective)
    for parameter in parameters:
        parameter.requires_grad_(False).grad = None


def _accuracy(vectors: Tensor, labels: Tensor, weights: Tensor, biases: Tensor) -> float:
    return float((F.linear(vectors, weights, biases).argmax(dim=1) == labels).float().mean())
