"""Maps of a frozen trunk, computed once: f and the critics are then trained in minutes on two cores.

A trunk that is not trained gives the same maps for the same view. So several random views of each image are
encoded before the first step, kept in a file of half-precision numbers, and drawn from in each step.
"""

import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Generator, Tensor

from training.data import ImageSet
from training.data.views import apply_views, draw_views
from training.errors import TrainingError
from training.model.encoders import Encoder, Maps
from training.recipe import Recipe, ViewRecipe

_BATCH = 64
_FOLDER = "trunk-maps"


class TrunkMaps:
    """Maps of several views of every image, in files of the run's folder.

    Attributes:
        copies: views of each image.
    """

    def __init__(self, folder: Path, copies: int) -> None:
        self.copies = copies
        self._folder = folder
        self._features = _open(folder / "features.npy")
        self._conv = _open(folder / "conv.npy")

    def draw(self, rows: Tensor, views: int, generator: Generator) -> tuple[Maps, ...]:
        """Draw that many different views of each image.

        Args:
            rows: int64 [B], places of the images.
            views: at most `copies`.
            generator: source of the draw.
        """
        order = torch.rand(len(rows), self.copies, generator=generator).argsort(dim=1)[:, :views]
        return tuple(self._take(rows * self.copies + order[:, view]) for view in range(views))

    def close(self) -> None:
        """Remove the files: a finished run does not need them."""
        del self._features, self._conv
        shutil.rmtree(self._folder, ignore_errors=True)

    def _take(self, places: Tensor) -> Maps:
        index = places.numpy()
        return Maps(*(torch.from_numpy(store[index]).float() for store in (self._features, self._conv)))


def compute_trunk_maps(
    encoder: Encoder, images: ImageSet, recipe: Recipe, folder: Path, go_on: Callable[[int, int], bool]
) -> TrunkMaps | None:
    """Encode random views of every image by the trunk, or resume a call that was stopped.

    Args:
        encoder: its trunk is frozen.
        images: the training images.
        recipe: with `trunk_copies` and an augmentation.
        folder: of the run.
        go_on: told after each batch how many of how many views are done; False stops.

    Returns:
        The maps; None where it was stopped.

    Raises:
        TrainingError: there is not enough room on the disk.
    """
    copies, augmentation = recipe.trunk_copies, recipe.augmentation
    if copies is None or augmentation is None:
        raise ValueError("the recipe has no trunk_copies or no augmentation")
    target = folder / _FOLDER
    target.mkdir(exist_ok=True)
    total = len(images) * copies
    stores = _stores(encoder, recipe.view_size(0), target, total)
    done_file = target / "done"
    done = int(done_file.read_text()) if done_file.is_file() else 0
    encoder.eval()
    while done < total:
        places = np.arange(done, min(done + _BATCH, total))
        maps = _encode(encoder, images, places // copies, augmentation, recipe, done)
        for store, values in zip(stores, maps, strict=True):
            store[places] = values.numpy()
        done = int(places[-1]) + 1
        done_file.write_text(str(done))
        if not go_on(done, total):
            return None
    for store in stores:
        store.flush()
    return TrunkMaps(target, copies)


@torch.no_grad()
def _encode(
    encoder: Encoder, images: ImageSet, rows: NDArray[np.int64], views: ViewRecipe, recipe: Recipe, place: int
) -> Maps:
    # A generator for each batch, so that a resumed call draws what the first one would have drawn.
    generator = Generator().manual_seed(recipe.seed * 1_000_003 + place)
    pixels = torch.from_numpy(images.pixels_for_crops[rows])
    device = encoder.mean.device
    draw = draw_views(len(rows), views, generator).map(lambda each: each.to(device))
    seen = apply_views(pixels.to(device), draw, recipe.view_size(0))
    return Maps(*(each.half().cpu() for each in encoder.maps(seen)))


def _stores(encoder: Encoder, size: int, folder: Path, total: int) -> list[np.memmap]:
    with torch.no_grad():
        encoder.eval()
        example = encoder.maps(torch.zeros(1, 3, size, size, device=encoder.mean.device))
    shapes = [tuple(each.shape[1:]) for each in example]
    needed = sum(2 * total * int(np.prod(shape)) for shape in shapes)
    files = [folder / "features.npy", folder / "conv.npy"]
    there = sum(file.stat().st_size for file in files if file.is_file())
    free = shutil.disk_usage(folder).free
    if needed - there > free:
        raise TrainingError(
            f"The maps of {total:,} views take {needed / 2**30:.1f} GiB, and {folder} has {free / 2**30:.1f} "
            "GiB free. Lower trunk_copies, or name another --out."
        )
    return [
        np.lib.format.open_memmap(
            file, mode="r+" if file.is_file() else "w+", dtype=np.float16, shape=(total, *shape)
        )
        for file, shape in zip(files, shapes, strict=True)
    ]


def _open(file: Path) -> NDArray[np.float16]:
    values: NDArray[np.float16] = np.load(file, mmap_mode="r")
    return values
