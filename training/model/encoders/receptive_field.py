"""Receptive fields measured by gradients, for modules whose kernels are not listed.

A unit's receptive field is where its gradient with respect to the input is not zero. ReLUs and saturated
units hide parts of it, so several random images are united.
"""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn

from contract.patches import PatchGrid

_IMAGES = 4


def patch_grid_of(features: Callable[[Tensor], Tensor], module: nn.Module, input_size: int) -> PatchGrid:
    """Measure the geometry of a map.

    Args:
        features: images [B, 3, H, H] to C(x) [B, C, M, M], computed by `module`.
        module: on the CPU, in evaluation mode; it is moved to double precision.
        input_size: H, in pixels.

    Returns:
        The grid. Where every unit sees beyond the image the field is twice the image, clipped by `boxes`.
    """
    module.double()
    for parameter in module.parameters():
        parameter.requires_grad = False
    generator = torch.Generator().manual_seed(0)
    images = torch.randn(_IMAGES, 3, input_size, input_size, generator=generator, dtype=torch.float64)
    images.requires_grad_()
    maps = features(images)
    side = maps.shape[2]
    extents = [_extent(maps[:, :, side // 2, column], images) for column in range(side)]
    return grid_of_extents(extents, input_size)


def grid_of_extents(extents: Sequence[tuple[int, int]], input_size: int) -> PatchGrid:
    """Take the geometry of a square map from the columns of pixels that its columns see.

    Args:
        extents: of each column of units, the first column of pixels and the one after the last.
        input_size: in pixels.
    """
    side = len(extents)
    stride = input_size / side
    inside = [(low, high) for low, high in extents if low > 0 and high < input_size]
    if not inside:
        return PatchGrid(
            rows=side,
            columns=side,
            stride=stride,
            receptive_field=2.0 * input_size,
            first_centre=stride / 2,
        )
    column = next(index for index, extent in enumerate(extents) if extent == inside[0])
    low, high = inside[0]
    return PatchGrid(
        rows=side,
        columns=side,
        stride=stride,
        receptive_field=float(max(high - low for low, high in inside)),
        first_centre=(low + high) / 2 - column * stride,
    )


def _extent(units: Tensor, images: Tensor) -> tuple[int, int]:
    """Return the first column that a unit [B, C] sees, and the one after the last."""
    # Random signs, so that no two channels cancel.
    signs = torch.randn(units.shape, generator=torch.Generator().manual_seed(1), dtype=units.dtype)
    (gradient,) = torch.autograd.grad((units * signs).sum(), images, retain_graph=True)
    seen = torch.nonzero((gradient != 0).any(dim=0).any(dim=0).any(dim=0)).flatten()
    if not len(seen):
        return 0, images.shape[3]
    return int(seen[0]), int(seen[-1]) + 1
