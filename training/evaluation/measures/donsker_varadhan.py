"""Donsker and Varadhan's bound for a statistics network: how it is raised, and what N samples let it say.

KL(p ‖ q) ≥ E_p[T] - log E_q[e^T] for every T (Donsker and Varadhan 1983; Belghazi et al. 2018, theorem 1).
"""

import math
from collections.abc import Iterable

import torch
from torch import Tensor

_RATE = 0.01
_PENALTY = 0.1


class MovingAverageLoss:
    """Minus the bound of a batch, with the gradient of Belghazi et al. 2018, section 3.2.

    The gradient of log E_q[e^T] is E_q[e^T ∇T] / E_q[e^T]. A denominator from the same batch biases it; a
    moving average over batches takes the bias away. Kept as a logarithm, it cannot overflow.

    The bound leaves a constant in T free, and T drifts. A penalty of 0.1 (log E_q[e^T])² ties it to where
    the optimal T is the log density ratio (Choi and Lee 2020), which `honest_bound` relies on.
    """

    def __init__(self) -> None:
        self._log_average: Tensor | None = None

    def __call__(self, joint: Tensor, product: Tensor) -> Tensor:
        """Return a scalar whose gradient is that of minus the bound plus the penalty.

        Args:
            joint: T of samples of p, any shape.
            product: T of samples of q, any shape; -inf marks places without a sample.
        """
        now = torch.logsumexp(product.flatten(), dim=0) - (product != -math.inf).sum().log()
        last = self._log_average
        self._log_average = now.detach()
        if last is not None:
            self._log_average = torch.logaddexp(
                last + math.log1p(-_RATE), self._log_average + math.log(_RATE)
            )
        return (now - self._log_average).exp() - joint.mean() + _PENALTY * now.square()


def honest_bound(joint: Tensor, product: Iterable[Tensor]) -> float:
    """Compute the bound that N samples of p can show, in nats: at most log N for any T.

    N samples of q say nothing of an event to which q gives 1/N, so they cannot exclude that q puts 1/N of
    its mass where p lies; a larger bound than about log N is a claim about what was not seen (McAllester
    and Stratos 2020). Therefore q is taken to do so: the bound is that on KL(p ‖ (1 - 1/N) q + p/N). By the
    convexity of KL this is no more than KL(p ‖ q), and it is at most log N because its density ratio is at
    most N. A value near log N means "this much or more".

    For the same reason T is cut off at log N. That is another T, for which the bound holds as well, and one
    wild score among the samples of q no longer outweighs all others.

    Args:
        joint: T of N samples of p, [N].
        product: T of samples of q in parts of any shape; -inf marks places without a sample.
    """
    count = len(joint)
    joint = joint.double().clamp_max(math.log(count))
    sums, samples = [], 0
    for part in product:
        sums.append(part.double().clamp_max(math.log(count)).flatten().logsumexp(dim=0))
        samples += int((part != -math.inf).sum())
    unseen = torch.stack(sums).logsumexp(dim=0) - math.log(samples)
    seen = joint.logsumexp(dim=0) - math.log(count)
    mixed = torch.logaddexp(unseen + math.log1p(-1 / count), seen - math.log(count))
    return float(joint.mean() - mixed)
