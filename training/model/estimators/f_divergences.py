"""Estimators that distinguish joint from independent pairs by an f-divergence (Nowozin et al. 2016, f-GAN).

With p the joint density, q that of independent pairs and u = p / q, the divergence is E_q[f(u)], and

    E_p[g(T)] - E_q[f*(g(T))]

is a lower bound on it for every critic T. Here f* is the conjugate of f, and g maps any score into its domain
(tables 1 and 2). The bound is tight where g(T) = f'(u), so that an optimal critic tells u. Only Kullback and
Leibler's divergence is the mutual information itself; the others order encoders by another measure of the
same dependence.
"""

import math
from abc import abstractmethod
from typing import ClassVar

import torch
import torch.nn.functional as F  # noqa: N812  (torch's own convention)
from torch import Tensor

from training.model.estimators.estimator import Estimator, check_scores, counted, independent, joint

_LINEAR_NATS = 10.0


class FDivergence(Estimator):
    """A divergence by its two terms; an expectation over pairs is a mean over all images and patches.

    Attributes:
        is_information: the divergence is the mutual information.
    """

    is_information: ClassVar[bool] = False

    @abstractmethod
    def joint_term(self, scores: Tensor) -> Tensor:
        """Return g(T), of any shape."""

    @abstractmethod
    def independent_term(self, scores: Tensor) -> Tensor:
        """Return f*(g(T)), of any shape."""

    @abstractmethod
    def optimal_log_ratio(self, scores: Tensor) -> Tensor:
        """Return log u for which g(T) = f'(u), of any shape."""

    def loss(self, scores: Tensor) -> Tensor:
        """Return minus the lower bound on the divergence; 0 when T tells nothing."""
        scores = check_scores(scores)
        own, other = joint(scores), independent(scores)
        own, other = own[counted(own)], other[counted(other)]
        return self.independent_term(other).mean() - self.joint_term(own).mean()

    def bound(self, scores: Tensor) -> Tensor | None:
        """Return the bound on the divergence where that is the mutual information, else None."""
        return -self.loss(scores).detach() if self.is_information else None

    def log_ratio(self, scores: Tensor) -> Tensor:
        """Return log u as the optimal critic has it."""
        scores = check_scores(scores)
        kept = counted(scores)
        ratio = self.optimal_log_ratio(torch.where(kept, scores, 0.0))
        return torch.where(kept, ratio, -math.inf)


class JensenShannon(FDivergence):
    """Twice the Jensen-Shannon divergence, at most 2 log 2 (Hjelm et al. 2019, equation 4; GAN).

    The paper leaves out the constants log 2, which make unrelated pairs score 0.
    """

    def joint_term(self, scores: Tensor) -> Tensor:
        """Return log 2 - softplus(-T)."""
        return math.log(2) - F.softplus(-scores)

    def independent_term(self, scores: Tensor) -> Tensor:
        """Return softplus(T) - log 2."""
        return F.softplus(scores) - math.log(2)

    def optimal_log_ratio(self, scores: Tensor) -> Tensor:
        """Return T itself."""
        return scores


class KullbackLeibler(FDivergence):
    """The mutual information (Nguyen et al. 2010; MINE-f), T shifted by 1 so that its optimum is log u."""

    is_information = True

    def joint_term(self, scores: Tensor) -> Tensor:
        """Return T + 1."""
        return tempered(scores) + 1

    def independent_term(self, scores: Tensor) -> Tensor:
        """Return e^T."""
        return tempered(scores).exp()

    def optimal_log_ratio(self, scores: Tensor) -> Tensor:
        """Return T itself."""
        return tempered(scores)


class ReverseKullbackLeibler(FDivergence):
    """The divergence of independent from joint pairs, known as lautum information."""

    def joint_term(self, scores: Tensor) -> Tensor:
        """Return -e^-T."""
        return -(-tempered(scores)).exp()

    def independent_term(self, scores: Tensor) -> Tensor:
        """Return T - 1."""
        return tempered(scores) - 1

    def optimal_log_ratio(self, scores: Tensor) -> Tensor:
        """Return T itself."""
        return tempered(scores)


class SquaredHellinger(FDivergence):
    """E_q[(sqrt(u) - 1)^2], at most 2."""

    def joint_term(self, scores: Tensor) -> Tensor:
        """Return 1 - e^-T."""
        return 1 - (-tempered(scores)).exp()

    def independent_term(self, scores: Tensor) -> Tensor:
        """Return e^T - 1."""
        return tempered(scores).exp() - 1

    def optimal_log_ratio(self, scores: Tensor) -> Tensor:
        """Return 2 T."""
        return 2 * tempered(scores)


class ChiSquared(FDivergence):
    """Pearson's E_q[(u - 1)^2]. T grows with the ratio and not with its logarithm, so large ones are hard."""

    def joint_term(self, scores: Tensor) -> Tensor:
        """Return T."""
        return scores

    def independent_term(self, scores: Tensor) -> Tensor:
        """Return T + T^2 / 4."""
        return scores + scores.square() / 4

    def optimal_log_ratio(self, scores: Tensor) -> Tensor:
        """Return log(1 + T / 2); a T of -2 or less claims a ratio of 0 and counts as -10 nats."""
        return (1 + scores / 2).clamp_min(math.exp(-_LINEAR_NATS)).log()


def tempered(scores: Tensor) -> Tensor:
    """Keep scores up to 10 nats either way, and let them grow as a logarithm beyond.

    A monotone map of the scores, so what it feeds stays a bound. Its exponential continues beyond 10 nats
    as the tangent: it neither overflows nor loses the gradient that brings a runaway score back.
    """
    beyond = (scores.abs() - _LINEAR_NATS).clamp_min(0)
    return scores.clamp(-_LINEAR_NATS, _LINEAR_NATS) + scores.sign() * beyond.log1p()
