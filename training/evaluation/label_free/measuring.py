"""All signs without labels, of one layer of an encoder over held-out images."""

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Generator, Tensor

from training.data import ImageSet
from training.data.views import random_views
from training.evaluation.encoding import encode
from training.evaluation.label_free.alpha_req import spectrum_exponent
from training.evaluation.label_free.lidar import lidar
from training.evaluation.label_free.rank_me import rank_me
from training.model.encoders import Encoder
from training.recipe import ViewRecipe

VIEWS = 8
_MOST_IMAGES = 250
_MOST_BYTES = 100_000_000
_AT_ONCE = 256


@dataclass(frozen=True)
class LabelFree:
    """Figures of the vectors of one layer.

    Attributes:
        rank_me: smooth rank; larger is better.
        alpha: exponent of the spectrum; best near 1. None where too few directions vary.
        lidar: smooth rank of what tells images apart; larger is better. None without views.
    """

    rank_me: float
    alpha: float | None
    lidar: float | None

    @classmethod
    def of(cls, vectors: Tensor, of_views: Tensor | None = None) -> "LabelFree":
        """Measure vectors [N, D] of images, and [N' VIEWS, D] of all views of some images in turn."""
        found = None
        if of_views is not None:
            found = lidar(of_views.view(-1, VIEWS, of_views.shape[1]))
        return cls(rank_me(vectors), spectrum_exponent(vectors), found)

    def named(self, layer: str) -> dict[str, float]:
        """Return the figures that there are, by the names of a run's log."""
        values = {"rankme": self.rank_me, "alpha": self.alpha, "lidar": self.lidar}
        return {f"{name}_{layer}": value for name, value in values.items() if value is not None}


def label_free(encoder: Encoder, images: ImageSet, recipe: ViewRecipe | None, seed: int) -> LabelFree:
    """Measure fc over images; without views no LiDAR."""
    drawn = None if recipe is None else views_drawn(images, recipe, seed)
    of_views = None if drawn is None else encode(encoder, torch.from_numpy(drawn)).fc
    return LabelFree.of(encode(encoder, images.pixels).fc, of_views)


def views_drawn(images: ImageSet, recipe: ViewRecipe, seed: int) -> NDArray[np.uint8]:
    """Draw VIEWS views of each of some images, image by image: uint8 [N' VIEWS, H, W, 3].

    The seed draws both. The authors take 1,000 images with 50 views; here N' is 250, fewer of large images.
    """
    drawn = images.sample(view_images(len(images), images.pixels.shape[1]), seed)
    chosen = torch.from_numpy(drawn.pixels[:])
    generator = Generator().manual_seed(seed)
    parts = [
        random_views(part, recipe, generator).mul_(255).round_().byte().permute(0, 2, 3, 1)
        for part in chosen.repeat_interleave(VIEWS, dim=0).split(_AT_ONCE)
    ]
    return torch.cat(parts).contiguous().numpy()


def view_images(count: int, side: int) -> int:
    """Count the images that views are drawn of, of so many."""
    return min(count, _MOST_IMAGES, max(2, _MOST_BYTES // (VIEWS * 3 * side * side)))
