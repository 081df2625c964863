"""Batch normalisation over the batch of all ranks (torch.nn.SyncBatchNorm runs on GPUs alone)."""

import torch
import torch.nn.functional as F  # noqa: N812  (torch's own convention)
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from training.distributed import ranks


class CrossRankBatchNorm(_BatchNorm):
    """Normalises by the statistics of the joint batch, of which every rank holds equally many rows.

    State, evaluation and running statistics are those of `BatchNorm1d` and `BatchNorm2d`. Mean and variance
    are put together from those of the ranks (Chan et al. 1983, equation 2.1), which loses no digits as a
    sum of squares would.
    """

    running_mean: Tensor
    running_var: Tensor
    num_batches_tracked: Tensor
    momentum: float

    def _check_input_dim(self, input: Tensor) -> None:  # noqa: A002  (torch's name)
        if input.ndim < 2:
            raise ValueError(f"batch normalisation takes [B, C, ...] and got {tuple(input.shape)}")

    def forward(self, input: Tensor) -> Tensor:  # noqa: A002  (torch's name)
        """Normalise [B, C, ...]; shape and type stay."""
        self._check_input_dim(input)
        if not self.training:
            return F.batch_norm(
                input, self.running_mean, self.running_var, self.weight, self.bias, eps=self.eps
            )
        values = input.float()
        own_variance, own_mean = torch.var_mean(values, [0, *range(2, values.ndim)], correction=0)
        means, variances = ranks.gather(torch.stack([own_mean, own_variance]).unsqueeze(0)).unbind(1)
        mean = means.mean(dim=0)
        variance = (variances + (means - mean).square()).mean(dim=0)
        self._remember(mean.detach(), variance.detach(), values.numel() // len(mean) * ranks.count())
        shape = (1, -1) + (1,) * (values.ndim - 2)
        scale = self.weight * torch.rsqrt(variance + self.eps)
        normal = (values - mean.view(shape)) * scale.view(shape) + self.bias.view(shape)
        return normal.to(input.dtype)

    @torch.no_grad()
    def _remember(self, mean: Tensor, variance: Tensor, rows: int) -> None:
        self.num_batches_tracked += 1
        self.running_mean.lerp_(mean, self.momentum)
        self.running_var.lerp_(variance * (rows / (rows - 1)), self.momentum)


def synchronise(module: nn.Module) -> None:
    """Let every batch normalisation in a module take its statistics over all ranks; weights stay the same."""
    for name, child in module.named_children():
        if isinstance(child, nn.BatchNorm1d | nn.BatchNorm2d):
            setattr(module, name, _joint(child))
        else:
            synchronise(child)


def _joint(norm: nn.BatchNorm1d | nn.BatchNorm2d) -> CrossRankBatchNorm:
    joint = CrossRankBatchNorm(norm.num_features, norm.eps, norm.momentum)
    joint.weight, joint.bias = norm.weight, norm.bias
    for name, buffer in norm.named_buffers():
        joint.register_buffer(name, buffer)
    return joint.train(norm.training)
