"""Random views of images as batched tensor code: no per-image Python, one resampling, one colour matrix.

Every colour change used here (brightness, saturation, hue, grey) is linear in RGB. So an image's whole
jitter is one 3 x 3 matrix, and contrast adds one offset. Crop and flip are one affine resampling. The set of
augmentations is that of SimCLR (Chen et al. 2020, appendix A), with the solarisation of BYOL (Grill et al.
2020, appendix B). Where a recipe asks for no blur or no solarisation, nothing is drawn for them.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
import torch.nn.functional as F  # noqa: N812  (torch's own convention)
from torch import Generator, Tensor

from training.data.blur import blurred
from training.recipe import ViewRecipe

_LUMA = torch.tensor([0.299, 0.587, 0.114])
# RGB to YIQ: hue is a rotation of the two chroma axes (the NTSC matrix, as in colorsys).
_TO_YIQ = torch.tensor([[0.299, 0.587, 0.114], [0.5959, -0.2746, -0.3213], [0.2115, -0.5227, 0.3112]])
_FROM_YIQ = torch.linalg.inv(_TO_YIQ)
# Of the largest one; SimCLR draws from 0.1 to 2.0 pixels.
_LEAST_BLUR = 0.05
_SOLARISED_ABOVE = 0.5


def to_unit(images: Tensor) -> Tensor:
    """Map uint8 [B, H, W, 3] to float32 [B, 3, H, W] on the scale 0..1, in channels-last memory."""
    return images.permute(0, 3, 1, 2).float().div_(255)


@dataclass(frozen=True)
class ViewParameters:
    """Random parameters of one view of each of B images.

    Randomness is drawn on the CPU also where a GPU computes the views, so a seed fixes the views everywhere.

    Attributes:
        affine: float32 [B, 2, 3], from places in the view to places in the image, each on -1..1.
        colour: float32 [B, 3, 3], the change of RGB but for contrast.
        contrast: float32 [B].
        blur: float32 [B], standard deviations as shares of the view's side, 0 for none; None blurs nothing.
        solarise: bool [B]; None solarises nothing.
    """

    affine: Tensor
    colour: Tensor
    contrast: Tensor
    blur: Tensor | None = None
    solarise: Tensor | None = None

    def map(self, change: Callable[[Tensor], Tensor]) -> "ViewParameters":
        """Apply the same change, of rows or of device, to all that were drawn."""
        return ViewParameters(
            change(self.affine),
            change(self.colour),
            change(self.contrast),
            None if self.blur is None else change(self.blur),
            None if self.solarise is None else change(self.solarise),
        )


def draw_views(count: int, recipe: ViewRecipe, generator: Generator) -> ViewParameters:
    """Draw one view for each of `count` images; `generator`, of the CPU, is the source of all randomness."""
    affine = _draw_crop_and_flip(count, recipe, generator)
    colour, contrast = _draw_colour(count, recipe, generator)
    blur = solarise = None
    if recipe.blur:
        blurred = _chance(count, recipe.blur, generator)
        strength = _uniform(count, _LEAST_BLUR, 1, generator) * recipe.blur_sigma
        blur = torch.where(blurred, strength, 0.0)
    if recipe.solarise:
        solarise = _chance(count, recipe.solarise, generator)
    return ViewParameters(affine, colour, contrast, blur, solarise)


def apply_views(images: Tensor, draw: ViewParameters, size: int) -> Tensor:
    """Compute the views that were drawn.

    Args:
        images: uint8 [B, H, W, 3], of any size.
        draw: of as many images, on the same device.
        size: S, height and width of the views.

    Returns:
        float32 [B, 3, S, S] on the scale 0..1, in channels-last memory.
    """
    unit = to_unit(images)
    grid = F.affine_grid(draw.affine, [*unit.shape[:2], size, size], align_corners=False)
    cropped = F.grid_sample(unit, grid, mode="bilinear", padding_mode="reflection", align_corners=False)
    view = _colour(cropped, draw.colour, draw.contrast).clamp_(0, 1)
    if draw.blur is not None:
        # Sums of weighted values may round to above 1.
        view = blurred(view, draw.blur * size).clamp_(0, 1)
    if draw.solarise is not None:
        view = torch.where(draw.solarise.view(-1, 1, 1, 1) & (view >= _SOLARISED_ABOVE), 1 - view, view)
    return view.contiguous(memory_format=torch.channels_last)


def random_views(images: Tensor, recipe: ViewRecipe, generator: Generator) -> Tensor:
    """Draw one view of each image, as large as it is.

    Args:
        images: uint8 [B, H, H, 3].
        recipe: strengths.
        generator: of the CPU, the source of all randomness, so that a seed fixes the views.

    Returns:
        float32 [B, 3, H, H] on the scale 0..1.
    """
    draw = draw_views(len(images), recipe, generator)
    sent = draw.map(lambda each: each.to(images.device, non_blocking=True))
    return apply_views(images, sent, images.shape[1])


def _uniform(size: int, low: float, high: float, generator: Generator) -> Tensor:
    return torch.rand(size, generator=generator) * (high - low) + low


def _chance(size: int, probability: float, generator: Generator) -> Tensor:
    return torch.rand(size, generator=generator) < probability


def _draw_crop_and_flip(count: int, recipe: ViewRecipe, generator: Generator) -> Tensor:
    """Draw crops of random area and aspect, mirrored at random: float32 [count, 2, 3]."""
    area = _uniform(count, recipe.min_crop, 1.0, generator)
    aspect = torch.exp(_uniform(count, -math.log(recipe.aspect), math.log(recipe.aspect), generator))
    width = (area * aspect).sqrt().clamp(max=1.0)
    height = (area / aspect).sqrt().clamp(max=1.0)
    left = _uniform(count, -1, 1, generator) * (1 - width)
    top = _uniform(count, -1, 1, generator) * (1 - height)
    mirror = torch.where(_chance(count, recipe.flip, generator), -1.0, 1.0)
    affine = torch.zeros(count, 2, 3)
    affine[:, 0, 0] = width * mirror
    affine[:, 0, 2] = left
    affine[:, 1, 1] = height
    affine[:, 1, 2] = top
    return affine


def _draw_colour(count: int, recipe: ViewRecipe, generator: Generator) -> tuple[Tensor, Tensor]:
    """Draw the change of colours and the contrast: float32 [count, 3, 3] and [count]."""
    brightness = _uniform(count, 1 - recipe.brightness, 1 + recipe.brightness, generator)
    contrast = _uniform(count, 1 - recipe.contrast, 1 + recipe.contrast, generator)
    matrix = brightness.view(-1, 1, 1) * _hue_and_saturation(count, recipe, generator)
    changed = _chance(count, recipe.jitter, generator)
    matrix = torch.where(changed.view(-1, 1, 1), matrix, torch.eye(3))
    contrast = torch.where(changed, contrast, 1.0)
    grey = _chance(count, recipe.grey, generator)
    return torch.where(grey.view(-1, 1, 1), _LUMA.expand(3, 3) @ matrix, matrix), contrast


def _colour(images: Tensor, matrix: Tensor, contrast: Tensor) -> Tensor:
    count, _, height, width = images.shape
    flat = images.reshape(count, 3, height * width)
    mixed = torch.bmm(contrast.view(-1, 1, 1) * matrix, flat)
    # Contrast pulls towards the mean grey of the image as jittered so far.
    middle = torch.einsum("c,bcd,bd->b", _LUMA.to(flat.device), matrix, flat.mean(dim=2))
    return (mixed + ((1 - contrast) * middle).view(-1, 1, 1)).view(count, 3, height, width)


def _hue_and_saturation(count: int, recipe: ViewRecipe, generator: Generator) -> Tensor:
    """Draw rotations and scalings of the chroma plane: float32 [count, 3, 3]."""
    angle = _uniform(count, -recipe.hue, recipe.hue, generator) * (2 * math.pi)
    saturation = _uniform(count, 1 - recipe.saturation, 1 + recipe.saturation, generator)
    chroma = torch.zeros(count, 3, 3)
    chroma[:, 0, 0] = 1
    chroma[:, 1, 1] = chroma[:, 2, 2] = saturation * angle.cos()
    chroma[:, 2, 1] = saturation * angle.sin()
    chroma[:, 1, 2] = -chroma[:, 2, 1]
    turned: Tensor = _FROM_YIQ @ chroma @ _TO_YIQ
    return turned
