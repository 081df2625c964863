"""Gaussian blur of a batch, each image by a strength of its own."""

import math

import torch
import torch.nn.functional as F  # noqa: N812  (torch's own convention)
from torch import Tensor

# Of standard deviations; the weights beyond are under 1 in 400.
_REACH = 3
_LEAST_SIGMA = 1e-3


def blurred(images: Tensor, sigma: Tensor) -> Tensor:
    """Blur, mirrored at the edges.

    Args:
        images: float32 [B, C, H, W].
        sigma: float32 [B], standard deviations in pixels; 0 leaves an image as it is.
    """
    channels, height, width = images.shape[1:]
    chosen = torch.nonzero(sigma).flatten()
    if not len(chosen):
        return images
    radius = min(math.ceil(_REACH * float(sigma.max())), height - 1, width - 1)
    places = torch.arange(-radius, radius + 1, device=images.device)
    weights = torch.exp(-0.5 * (places / sigma[chosen].clamp(min=_LEAST_SIGMA).view(-1, 1)) ** 2)
    weights = weights / weights.sum(dim=1, keepdim=True)
    # One group for each channel of each image, so that each has a kernel of its own.
    kernels = weights.repeat_interleave(channels, dim=0).view(-1, 1, 1, 2 * radius + 1)
    planes = images[chosen].reshape(1, -1, height, width)
    planes = F.conv2d(F.pad(planes, (radius, radius, 0, 0), mode="reflect"), kernels, groups=len(kernels))
    planes = F.pad(planes, (0, 0, radius, radius), mode="reflect")
    planes = F.conv2d(planes, kernels.transpose(2, 3), groups=len(kernels))
    result = images.clone()
    result[chosen] = planes.view(-1, channels, height, width)
    return result
