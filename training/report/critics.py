"""What the run's own critics say: their bounds on images they know and on others, and their MI maps."""

import math
from collections.abc import Iterator

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Generator, Tensor

from training.data.pixel_rows import PixelArray
from training.data.views import random_views, to_unit
from training.evaluation.encoding import encode
from training.model.estimators import build_estimator
from training.model.estimators.estimator import joint
from training.model.learner import Learner
from training.model.objectives import Local
from training.recipe import Recipe
from training.report.findings import Dependence

_ROUNDS = 4


def term_names(recipe: Recipe) -> tuple[str, ...]:
    """Return the objective's terms that measure dependence, as the metrics call them."""
    objective = recipe.objective
    local = tuple(f"local_{name}" for name in objective.maps) if objective.local_weight else ()
    others = (("global", objective.global_weight), ("pairwise", objective.pairwise_weight))
    return (*local, *(name for name, weight in others if weight))


def caps(recipe: Recipe) -> dict[str, float]:
    """Compute the largest bound in nats of each term; only InfoNCE has one (van den Oord et al. 2018).

    Pairs of views are compared with all others of both views, hence 2B - 1 of them.
    """
    if recipe.objective.estimator != "infonce":
        return {}
    size = recipe.batch_size
    return {name: math.log(2 * size - 1 if name == "pairwise" else size) for name in term_names(recipe)}


@torch.no_grad()
def dependences(
    learner: Learner, recipe: Recipe, training: PixelArray, held_out: PixelArray
) -> tuple[Dependence, ...]:
    """Measure every term on views of training images and, in batches of the same size, of held-out ones.

    Args:
        learner: in evaluation mode, so that no batch statistic tells the sets apart.
        recipe: of the run.
        training, held_out: uint8 [N, H, W, 3], at least 2 images each.
    """
    size = min(recipe.batch_size, len(training), len(held_out))
    known, other = (_terms(learner, recipe, pixels, size) for pixels in (training, held_out))
    return tuple(Dependence(name, known[name], other[name]) for name in term_names(recipe))


def _terms(learner: Learner, recipe: Recipe, pixels: PixelArray, size: int) -> dict[str, float]:
    generator = Generator().manual_seed(recipe.seed)
    sums: dict[str, float] = {}
    batches = list(_batches(len(pixels), size, generator))
    for rows in batches:
        images = torch.from_numpy(pixels[rows.numpy()])
        _, values, _ = learner(_views(images, recipe, generator), generator, rows)
        for name in term_names(recipe):
            # Every loss but InfoNCE's is minus what is maximised, 0 where nothing is told apart.
            value = values.get(f"{name}_nats", -values[f"{name}_loss"])
            sums[name] = sums.get(name, 0.0) + value / len(batches)
    return sums


def _batches(count: int, size: int, generator: Generator) -> Iterator[Tensor]:
    """Draw a few batches of random rows, each of `size` different ones."""
    for _ in range(_ROUNDS):
        yield torch.randperm(count, generator=generator)[:size]


def _views(images: Tensor, recipe: Recipe, generator: Generator) -> tuple[Tensor, ...]:
    if recipe.augmentation is None:
        return (to_unit(images),)
    return tuple(random_views(images, recipe.augmentation, generator) for _ in range(recipe.views))


@torch.no_grad()
def mi_maps(
    learner: Learner, recipe: Recipe, shown: PixelArray, others: PixelArray
) -> NDArray[np.float32] | None:
    """Compute pointwise MI of each patch with its own image's global vector, by the finest map's critic.

    Args:
        learner: in evaluation mode.
        recipe: of the run.
        shown: uint8 [N, H, W, 3], images to draw maps of.
        others: uint8 [K, H, W, 3], images whose vectors stand for the marginal.

    Returns:
        float32 [N, M, M] in nats, or None when the recipe has no local term.
    """
    name = next(iter(learner.local), None)
    if name is None:
        return None
    name = "features" if "features" in learner.local else name
    encoding = encode(learner.encoder, torch.from_numpy(np.concatenate([shown, others])))
    patches: Tensor = getattr(encoding, name)
    target: Tensor = getattr(encoding, recipe.objective.target)
    local = learner.local[name]
    assert isinstance(local, Local)  # noqa: S101  (for the type checker)
    scores = local.critic(patches.flatten(2), target)
    ratio = joint(build_estimator(recipe.objective.estimator).log_ratio(scores))
    return ratio[: len(shown)].view(len(shown), *patches.shape[2:]).numpy()
