"""Linear support vector machine on one frozen layer, the first of the paper's classifiers (Hjelm et al. 2019,
section 4.2)."""

import torch.nn.functional as F  # noqa: N812  (torch's own convention)
from torch import Tensor

from training.evaluation.probes.penalised import LinearProbe, fit_penalised


def fit_svm(
    vectors: Tensor, labels: Tensor, classes: int, seed: int, title: str = "linear SVM"
) -> LinearProbe:
    """Lower the mean squared hinge loss of float32 [N, D] with int64 labels [N]; see `fit_penalised`.

    Raises:
        DataError: there are too few vectors to hold any out.
    """
    return fit_penalised(vectors, labels, classes, seed, title, squared_hinge)


def squared_hinge(scores: Tensor, labels: Tensor) -> Tensor:
    """Average sum_c max(0, 1 - y_c s_c)^2 over images; y_c is 1 for the image's class, else -1.

    One machine against the rest for each class, trained together (L2-SVM; Tang 2013, equation 9; the default
    of LIBLINEAR). Squared, it is smooth enough for L-BFGS.
    """
    sides = 2 * F.one_hot(labels, scores.shape[1]).to(scores.dtype) - 1
    return (1 - sides * scores).clamp_min(0).square().sum(dim=1).mean()
