"""Distributions that a code can be matched to, by the name that recipes use."""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Generator, Tensor


@dataclass(frozen=True)
class Prior:
    """A distribution over vectors with independent, equal components.

    Attributes:
        onto_support: maps any real vectors onto the values that the distribution can take, same shape.
        draw: (shape, generator) to float32 samples of that shape.
    """

    onto_support: Callable[[Tensor], Tensor]
    draw: Callable[[torch.Size, Generator], Tensor]


def _anywhere(vectors: Tensor) -> Tensor:
    return vectors


def _uniform(shape: torch.Size, generator: Generator) -> Tensor:
    return torch.rand(shape, generator=generator)


def _gaussian(shape: torch.Size, generator: Generator) -> Tensor:
    return torch.randn(shape, generator=generator)


PRIORS: dict[str, Prior] = {
    # On [0, 1]^d. The code itself stays unbounded: its sigmoid is what is matched, as in the authors' code.
    "uniform": Prior(torch.sigmoid, _uniform),
    # Mean 0, variance 1, on all of R^d.
    "gaussian": Prior(_anywhere, _gaussian),
}
