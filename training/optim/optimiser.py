"""Which optimiser moves which weight, and how fast."""

import math
from collections.abc import Iterable, Sequence

import torch
from torch import nn

from training.optim.muon import Muon
from training.recipe import OptimiserRecipe

# Each weight group's learning rate at the end of the warm-up; the schedule multiplies it.
_PEAK = "peak"


def build_optimisers(
    parameters: Sequence[nn.Parameter], recipe: OptimiserRecipe
) -> list[torch.optim.Optimizer]:
    """Build AdamW for all, or Muon for the kernels of convolutions and AdamW for the rest."""
    if recipe.muon_learning_rate is None:
        return [adamw(parameters, recipe)]
    kernels = [parameter for parameter in parameters if _mixes_channels(parameter)]
    rest = [parameter for parameter in parameters if not _mixes_channels(parameter)]
    muon = Muon(kernels, recipe.muon_learning_rate, recipe.weight_decay)
    return [adamw(rest, recipe), *([_with_peak(muon)] if kernels else [])]


def adamw(parameters: Iterable[nn.Parameter], recipe: OptimiserRecipe) -> torch.optim.AdamW:
    """Build an AdamW that leaves biases and normalisation undecayed."""
    parameters = list(parameters)
    groups = [
        {"params": [p for p in parameters if p.ndim > 1], "weight_decay": recipe.weight_decay},
        {"params": [p for p in parameters if p.ndim <= 1], "weight_decay": 0.0},
    ]
    optimiser = torch.optim.AdamW(groups, lr=recipe.learning_rate, betas=(0.9, 0.95), fused=True)
    _with_peak(optimiser)
    return optimiser


def set_rates(optimisers: Iterable[torch.optim.Optimizer], share: float) -> None:
    """Set every learning rate to this share of its peak."""
    for optimiser in optimisers:
        for group in optimiser.param_groups:
            group["lr"] = group[_PEAK] * share


def rate_share(recipe: OptimiserRecipe, step: int, total_steps: int) -> float:
    """Compute the share of the peak: linear warm-up, then a cosine to 0 (Loshchilov and Hutter 2017)."""
    warmup = max(1, round(recipe.warmup_share * total_steps))
    if step < warmup:
        return (step + 1) / warmup
    share = (step - warmup) / max(1, total_steps - warmup)
    return (1 + math.cos(math.pi * share)) / 2


def _mixes_channels(parameter: nn.Parameter) -> bool:
    """Tell whether it is a kernel over feature maps; AdamW moves the first layer's, over three colours."""
    return parameter.ndim == 4 and parameter.shape[1] > 3


def _with_peak(optimiser: torch.optim.Optimizer) -> torch.optim.Optimizer:
    for group in optimiser.param_groups:
        group[_PEAK] = group["lr"]
    return optimiser
