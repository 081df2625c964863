"""A first layer that begins as a whitening of image patches.

Neighbouring pixels are nearly equal, so that almost all of a patch's variance is its brightness; a randomly
drawn filter sees little else, and learning starts with undoing that. Filters that are the patches' principal
axes, each divided by its deviation, start with uncorrelated outputs of one size (Coates and Ng 2011; as the
first layer of a fast network: Jordan 2024, arXiv 2404.00498, section 3.1). It is trained like any other.
"""

from collections.abc import Iterable

import torch
import torch.nn.functional as F  # noqa: N812  (torch's own convention)
from torch import Tensor, nn

# Added to the variances, as a share of the largest: what varies less is noise, not to be blown up.
_FLOOR = 5e-4


@torch.no_grad()
def whiten(convolution: nn.Conv2d, batches: Iterable[Tensor]) -> None:
    """Make the filters whitening ones: the strongest axes of the images' patches, each with either sign.

    Both signs, because the rectifier behind the layer keeps one half of each. With more filters than twice
    the values of a patch, the others stay as they were drawn.

    Args:
        convolution: of kernels k x k over C channels.
        batches: images as the layer sees them, each float32 [B, C, H, W]; one batch is held at a time.
    """
    variances, axes = torch.linalg.eigh(_covariance(convolution, batches))
    filters = (axes / (variances + _FLOOR * variances[-1]).sqrt()).flip(1).T
    filters = filters[: len(convolution.weight) // 2]
    both = torch.cat([filters, -filters])
    # Of the size that the layer was drawn with, so that the optimiser's steps mean what they meant.
    both *= convolution.weight.std() / both.std()
    convolution.weight[: len(both)] = both.view(-1, *convolution.weight.shape[1:])


def _covariance(convolution: nn.Conv2d, batches: Iterable[Tensor]) -> Tensor:
    """Compute the covariance of the patches that a convolution sees, float32 [C k k, C k k]."""
    kernel = convolution.weight[0].shape[1:]
    values = convolution.weight[0].numel()
    # In double precision: the square of the mean is taken from sums over millions of patches.
    total = torch.zeros(values, dtype=torch.float64, device=convolution.weight.device)
    products = torch.zeros(values, values, dtype=torch.float64, device=convolution.weight.device)
    count = 0
    for images in batches:
        patches = F.unfold(images, kernel, stride=kernel).transpose(1, 2).flatten(0, 1)
        total += patches.sum(dim=0)
        products += patches.T @ patches
        count += len(patches)
    mean = total / count
    return (products / count - torch.outer(mean, mean)).float()


def first_convolution(module: nn.Module) -> nn.Conv2d:
    """Find the convolution that sees the image.

    Raises:
        ValueError: there is none.
    """
    for layer in module.modules():
        if isinstance(layer, nn.Conv2d):
            return layer
    raise ValueError("the module has no convolution")
