"""Muon: every update of a convolution's kernels is made orthogonal (Jordan et al. 2024).

A gradient of a kernel, read as a matrix [outputs, inputs x k x k], has a few large singular values and many
small ones; Adam lets the large ones set the pace. The nearest orthogonal matrix moves all directions by the
same amount. What it gains here is in docs/results.md.
"""

import math
from collections.abc import Callable, Iterable

import torch
from torch import Tensor, nn

# A quintic that brings singular values from (0, 1] near 1 in five rounds (Jordan et al. 2024).
_QUINTIC = (3.4445, -4.7750, 2.0315)
_ROUNDS = 5
# The root mean square of an update then resembles AdamW's, so that one scale of learning rates serves both
# (Liu et al. 2025, arXiv 2502.16982, equation 4).
_ADAMW_RMS = 0.2


class Muon(torch.optim.Optimizer):
    """Nesterov momentum, then the nearest orthogonal matrix; weight decay as in AdamW.

    torch.optim.Muon takes matrices alone and works in bfloat16, which is slow on most CPUs; this one takes
    kernels [outputs, ...] too and works in their own precision.

    Args:
        parameters: of two or more dimensions; the first is the output's.
        lr: comparable with AdamW's.
        weight_decay: share of a weight that decays with each step, times lr.
        momentum: of the gradients.
    """

    def __init__(
        self, parameters: Iterable[nn.Parameter], lr: float, weight_decay: float, momentum: float = 0.95
    ) -> None:
        super().__init__(parameters, {"lr": lr, "weight_decay": weight_decay, "momentum": momentum})

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> None:  # type: ignore[override]
        """Update every parameter that has a gradient; `closure` is not supported."""
        if closure is not None:
            raise ValueError("Muon evaluates no closure")
        for group in self.param_groups:
            for parameter in group["params"]:
                if parameter.grad is not None:
                    self._update(parameter, group["lr"], group["weight_decay"], group["momentum"])

    def _update(self, parameter: nn.Parameter, lr: float, weight_decay: float, momentum: float) -> None:
        state = self.state[parameter]
        if not state:
            state["momentum"] = torch.zeros_like(parameter)
        gradient = parameter.grad
        assert gradient is not None  # noqa: S101 (the caller has looked)
        state["momentum"].mul_(momentum).add_(gradient)
        matrix = gradient.add(state["momentum"], alpha=momentum).flatten(1)
        scale = _ADAMW_RMS * math.sqrt(max(matrix.shape))
        parameter.mul_(1 - lr * weight_decay)
        parameter.add_(orthogonal(matrix).view_as(parameter), alpha=-lr * scale)


def orthogonal(matrix: Tensor) -> Tensor:
    """Approximate the orthogonal factor U V' of a matrix U S V' [M, N] by a Newton-Schulz iteration.

    Singular values end between about 0.7 and 1.2, which serves an update as well as 1 does.

    Every round multiplies the matrix from the left by a polynomial of its Gram matrix. So all rounds but the
    last product happen among matrices [M, M]: kernels have nine times as many columns or more.
    """
    wide = matrix if matrix.shape[0] <= matrix.shape[1] else matrix.T
    wide = wide / (wide.norm() + 1e-7)
    gram = wide @ wide.T
    factor = step = _polynomial(gram)
    for _ in range(_ROUNDS - 1):
        gram = step @ gram @ step
        step = _polynomial(gram)
        factor = step @ factor
    wide = factor @ wide
    nearest: Tensor = wide if matrix.shape[0] <= matrix.shape[1] else wide.T
    return nearest


def _polynomial(gram: Tensor) -> Tensor:
    """Compute a round's left factor from the matrix's present Gram matrix."""
    linear, cubic, quintic = _QUINTIC
    identity = torch.eye(len(gram), device=gram.device, dtype=gram.dtype)
    result: Tensor = linear * identity + cubic * gram + quintic * gram @ gram
    return result
