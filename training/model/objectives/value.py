"""What every objective returns."""

from typing import NamedTuple

from torch import Tensor


class ObjectiveValue(NamedTuple):
    """One term of the loss.

    Attributes:
        loss: scalar to be minimised.
        bound: lower bound on mutual information in nats, detached; None where the estimator has none.
    """

    loss: Tensor
    bound: Tensor | None
