"""Batch normalisation over all ranks; what several of them do is tested in test_ranks.py."""

import pytest
import torch
from torch import Generator, Tensor, nn

from training.distributed.sync_batch_norm import CrossRankBatchNorm, synchronise


@pytest.mark.parametrize(
    ("native", "shape"), [(nn.BatchNorm1d, (12, 5)), (nn.BatchNorm2d, (6, 5, 4, 3))], ids=["1d", "2d"]
)
def test_one_rank_computes_what_pytorch_does(
    native: type[nn.BatchNorm1d | nn.BatchNorm2d], shape: tuple[int, ...]
) -> None:
    torch.manual_seed(0)
    norm = native(5)
    model = nn.Sequential(nn.Sequential(norm))
    nn.init.uniform_(norm.weight)
    nn.init.uniform_(norm.bias)
    inner = nn.Sequential(native(5))
    joined = nn.Sequential(inner)
    joined.load_state_dict(model.state_dict())
    parameters = list(joined.parameters())
    synchronise(joined)
    assert isinstance(inner[0], CrossRankBatchNorm)
    assert list(joined.parameters()) == parameters
    for _ in range(2):
        inputs = 100 + torch.randn(shape, generator=Generator().manual_seed(0))
        results = [_passed(each, inputs) for each in (model, joined)]
        torch.testing.assert_close(results[0], results[1], rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(model.state_dict(), joined.state_dict())
    torch.testing.assert_close(model.eval()(inputs), joined.eval()(inputs))


def _passed(model: nn.Module, inputs: Tensor) -> list[Tensor]:
    """Outputs and all gradients of one pass."""
    inputs = inputs.clone().requires_grad_()
    outputs = model(inputs)
    (outputs * torch.linspace(-1, 1, outputs.numel()).view_as(outputs)).sum().backward()
    gradients = [value.grad for value in (inputs, *model.parameters())]
    return [outputs, *(gradient for gradient in gradients if gradient is not None)]
