"""Multi-scale structural similarity (Wang, Simoncelli and Bovik 2003) of small images.

At each scale two statistics of a Gaussian window around a pixel are compared (Wang et al. 2004):

    l  = (2 mx my + C1) / (mx² + my² + C1)      luminance
    cs = (2 vxy + C2) / (vx + vy + C2)              contrast and structure

Here mx, vx and vxy are the window's mean, variance and covariance. C1 = (0.01 L)² and C2 = (0.03 L)², where
L = 1 is the range of the pixels. Between scales the image is averaged over 2 x 2 pixels and halved. The
result is the product of value_s^w_s over the scales s. A scale's value is the mean of cs, at the coarsest the
mean of l · cs: luminance counts there alone, as in the authors' code. Means are over channels and over all
positions where the window lies within the image.

The paper's five scales of an 11 x 11 window need images of 176 pixels. Here the window is 7 x 7 with the
paper's deviation of 1.5 pixels, and there are as many scales as it fits into, at most five: three at 32
pixels (32, 16 and 8), four at 64, five at 128. Their weights are the paper's for the finest ones, divided
by their sum. Values are therefore comparable between images of one size, and not with figures of other
window sizes.
"""

import math

import torch
import torch.nn.functional as F  # noqa: N812  (torch's own convention)
from torch import Tensor

_WINDOW, _DEVIATION = 7, 1.5
_WEIGHTS = (0.0448, 0.2856, 0.3001, 0.2363, 0.1333)
_C1, _C2 = 0.01**2, 0.03**2


def ms_ssim(first: Tensor, second: Tensor) -> Tensor:
    """Compute the similarity of each pair of images.

    Args:
        first, second: float32 [B, C, H, W] on the scale 0..1, at least 7 pixels high and wide.

    Returns:
        float64 [B], 1 for equal images and at least 0: a contrast and structure that is negative on average
        counts as 0.

    Raises:
        ValueError: the shapes differ, or the images are smaller than the window.
    """
    if first.shape != second.shape or first.ndim != 4:
        raise ValueError(
            f"images of shapes {tuple(first.shape)} and {tuple(second.shape)} have no similarity"
        )
    weights = scale_weights(min(first.shape[2:]))
    # A variance is a difference of nearly equal numbers: C2 is too small for single precision.
    first, second = first.double(), second.double()
    similarity = first.new_ones(len(first))
    for scale, weight in enumerate(weights):
        if scale:
            first, second = F.avg_pool2d(first, 2), F.avg_pool2d(second, 2)
        luminance, structure = _statistics(first, second)
        is_coarsest = scale == len(weights) - 1
        value = (luminance * structure if is_coarsest else structure).mean(dim=(1, 2, 3))
        similarity = similarity * value.clamp_min(0) ** weight
    return similarity


def scale_weights(side: int) -> tuple[float, ...]:
    """Compute the weight of each scale of images with that shorter side, finest first; they sum to 1.

    Raises:
        ValueError: not even one window fits.
    """
    if side < _WINDOW:
        raise ValueError(f"an image of {side} pixels is smaller than the window of {_WINDOW}")
    scales = min(len(_WEIGHTS), 1 + int(math.log2(side / _WINDOW)))
    total = sum(_WEIGHTS[:scales])
    return tuple(weight / total for weight in _WEIGHTS[:scales])


def _statistics(x: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
    """Compute luminance and contrast-structure at every position of the window."""
    mean_x, mean_y = _blur(x), _blur(y)
    variance_x, variance_y = _blur(x * x) - mean_x**2, _blur(y * y) - mean_y**2
    covariance = _blur(x * y) - mean_x * mean_y
    luminance = (2 * mean_x * mean_y + _C1) / (mean_x**2 + mean_y**2 + _C1)
    structure = (2 * covariance + _C2) / (variance_x + variance_y + _C2)
    return luminance, structure


def _blur(images: Tensor) -> Tensor:
    """Compute weighted means over all windows within the image; a Gaussian is a row times a column."""
    distance = torch.arange(_WINDOW, dtype=images.dtype, device=images.device) - _WINDOW // 2
    weights = torch.exp(-(distance**2) / (2 * _DEVIATION**2))
    weights = weights / weights.sum()
    channels = images.shape[1]
    column = weights.view(1, 1, -1, 1).expand(channels, 1, -1, 1)
    row = weights.view(1, 1, 1, -1).expand(channels, 1, 1, -1)
    return F.conv2d(F.conv2d(images, column, groups=channels), row, groups=channels)
