"""Muon's updates are orthogonal, and it minimises what a gradient describes badly."""

import pytest
import torch
from torch import nn

from training.optim.muon import Muon, orthogonal


@pytest.mark.parametrize("shape", [(16, 16), (8, 40), (40, 8)])
def test_an_update_moves_every_direction_about_equally(shape: tuple[int, int]) -> None:
    torch.manual_seed(0)
    few = min(shape)
    uneven = torch.linalg.qr(torch.randn(shape[0], few)).Q @ torch.diag(torch.logspace(0, -2, few))
    matrix = uneven @ torch.linalg.qr(torch.randn(shape[1], few)).Q.T
    singular = torch.linalg.svdvals(orthogonal(matrix))
    assert singular.min() > 0.3
    assert singular.max() < 1.25


def test_the_update_has_the_directions_of_the_gradient() -> None:
    torch.manual_seed(0)
    left, _, right = torch.linalg.svd(torch.randn(6, 6))
    found = left.T @ orthogonal(left @ torch.diag(torch.linspace(1, 0.5, 6)) @ right) @ right.T
    assert (found - torch.diag(found.diagonal())).abs().max() < 1e-4


def test_it_finds_a_kernel_whose_inputs_differ_a_hundredfold_in_size() -> None:
    torch.manual_seed(0)
    inputs = torch.randn(256, 32) * torch.logspace(0, -2, 32)
    truth = torch.randn(8, 8, 2, 2)
    kernel = nn.Parameter(torch.zeros_like(truth))
    optimiser = Muon([kernel], lr=1.0, weight_decay=0.0)
    steps = 300
    for step in range(steps):
        optimiser.param_groups[0]["lr"] = 0.1 * (1 - step / steps)
        optimiser.zero_grad()
        (inputs @ (kernel - truth).flatten(1).T).square().mean().backward()
        optimiser.step()
    assert (kernel.detach() - truth).square().mean() < 0.02


def test_weights_decay_where_the_gradient_is_zero() -> None:
    kernel = nn.Parameter(torch.ones(4, 4, 1, 1))
    kernel.grad = torch.zeros_like(kernel)
    Muon([kernel], lr=0.1, weight_decay=0.5).step()
    assert torch.allclose(kernel, torch.full_like(kernel, 0.95))
