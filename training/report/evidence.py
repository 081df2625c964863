"""Everything that a report is made of, measured once on images that the encoder was not trained on."""

from dataclasses import dataclass, replace
from itertools import chain

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from contract.card import Quality
from training.data import ImageSet
from training.errors import DataError
from training.evaluation.frozen import FrozenEncoder
from training.evaluation.label_free import LabelFree, label_free
from training.evaluation.quality import measure_quality
from training.export.embedding_graph import embedded, frozen_graph
from training.report.accuracies import find
from training.report.baselines import Baselines, measure_baselines
from training.report.critics import caps, dependences, mi_maps, term_names
from training.report.findings import (
    Dependence,
    RunFinding,
    at_cap,
    collapse,
    dead_dimensions,
    no_better_than_pixels,
    no_better_than_untrained,
    overfitting_critic,
    too_few_images,
)
from training.report.length import too_few_steps
from training.report.neighbours import Neighbours, examples, nearest
from training.report.reported_run import ReportedRun
from training.report.shape import VectorShape, shape_of
from training.report.verdict import ordered

# Sub-samples keep a report within a minute on one core; figures move by a per cent or two.
_MOST_TRAINING, _MOST_HELD_OUT = 3_000, 1_000
_FEWEST_HELD_OUT = 4
_EXAMPLES, _HITS, _OTHERS = 8, 6, 248


@dataclass(frozen=True)
class Evidence:
    """Measurements of a run.

    Attributes:
        run: the run.
        training, held_out: the images that were measured on, sub-sampled where there are many.
        split: what the held-out images are, in words.
        training_total, held_out_total: how many images there are of each.
        quality: of every layer; without scores where there are no labels.
        baselines: of an untrained encoder and of raw pixels; None without labels.
        shapes: of the vectors of fc and code over the held-out images.
        label_free: of fc over them: what ranks runs of unlabelled images.
        dependences: of every term of the objective.
        caps: the largest value that a term's bound can reach, in nats.
        embeddings: of the held-out images, unit length, float32 [Q, D].
        neighbours: examples.
        map_rows: held-out images that maps are shown of.
        maps: their pointwise MI in nats, float32 [len(map_rows), M, M]; None without a local term.
        findings: what is wrong, failures first.
        passed: checks that were made and found nothing.
    """

    run: ReportedRun
    training: ImageSet
    held_out: ImageSet
    split: str
    training_total: int
    held_out_total: int
    quality: Quality
    baselines: Baselines | None
    shapes: dict[str, VectorShape]
    label_free: LabelFree
    dependences: tuple[Dependence, ...]
    caps: dict[str, float]
    embeddings: Tensor
    neighbours: tuple[Neighbours, ...]
    map_rows: tuple[int, ...]
    maps: NDArray[np.float32] | None
    findings: tuple[RunFinding, ...]
    passed: tuple[str, ...]


def gather(run: ReportedRun, training: ImageSet, held_out: ImageSet, split: str) -> Evidence:
    """Measure a run.

    Args:
        run: the run.
        training: images that it was trained on.
        held_out: images that it was not trained on.
        split: what these are, in words.

    Raises:
        DataError: the held-out images are too few, or their classes are not those of the training images.
    """
    if len(held_out) < _FEWEST_HELD_OUT:
        raise DataError(
            f"{len(held_out)} held-out images are too few to report on; give at least {_FEWEST_HELD_OUT}."
        )
    recipe, learner = run.recipe, run.learner
    if len(training.class_names) == 1:
        # One class, such as a folder within the folder, is as good as none.
        training, held_out = _unlabelled(training), _unlabelled(held_out)
    known, asked = (
        training.sample(_MOST_TRAINING, recipe.seed),
        held_out.sample(_MOST_HELD_OUT, recipe.seed),
    )
    encoder = frozen_graph(embedded(learner.encoder, recipe.embedding_layer, known, recipe.seed))
    quality = measure_quality(encoder, known, asked, split=split, seed=recipe.seed)
    bank = _encoded(encoder, known, "embedding")
    queries = _encoded(encoder, asked, "embedding", "fc", "code")
    shapes = {layer: shape_of(queries[layer]) for layer in ("fc", "code")}
    terms = dependences(learner, recipe, known.pixels, asked.pixels)
    baselines = measure_baselines(recipe, known, asked) if quality.scores else None
    checked = _checked(run, shapes, terms, quality, baselines)
    shown = examples(asked, _EXAMPLES, recipe.seed)
    return Evidence(
        run=run,
        training=known,
        held_out=asked,
        split=split,
        training_total=len(training),
        held_out_total=len(held_out),
        quality=quality,
        baselines=baselines,
        shapes=shapes,
        label_free=label_free(learner.encoder, asked, recipe.augmentation, recipe.seed),
        dependences=terms,
        caps=caps(recipe),
        embeddings=queries["embedding"],
        neighbours=nearest(bank["embedding"], queries["embedding"], shown, _HITS),
        map_rows=tuple(shown),
        maps=mi_maps(learner, recipe, asked.pixels[shown], known.sample(_OTHERS, recipe.seed).pixels),
        findings=ordered(list(chain(*checked.values()))),
        passed=tuple(check for check, findings in checked.items() if not findings),
    )


def _encoded(encoder: FrozenEncoder, images: ImageSet, *outputs: str) -> dict[str, Tensor]:
    encoded = encoder.encode(images.pixels, outputs)
    return {name: torch.from_numpy(values) for name, values in encoded.items()}


def _checked(
    run: ReportedRun,
    shapes: dict[str, VectorShape],
    terms: tuple[Dependence, ...],
    quality: Quality,
    baselines: Baselines | None,
) -> dict[str, list[RunFinding]]:
    """Apply every rule that can be applied."""
    results: dict[str, list[RunFinding | None]] = {
        "collapse": [collapse(layer, shape) for layer, shape in shapes.items()],
        "dead dimensions": [dead_dimensions(layer, shape) for layer, shape in shapes.items()],
        "critic": [overfitting_critic(terms)],
        "images": [too_few_images(quality.images)],
    }
    embedding = find(quality.scores, "knn", "embedding")
    if embedding is not None and baselines is not None:
        own, images = embedding.accuracy, quality.images
        results["pixels"] = [no_better_than_pixels(own, baselines.pixels["knn"], images)]
        untrained = baselines.untrained_accuracy(embedding)
        if untrained is not None:
            results["untrained"] = [no_better_than_untrained(own, untrained, images)]
    losses = [(int(point["step"]), point["loss"]) for point in run.points if "loss" in point]
    if losses:
        results["steps"] = [too_few_steps(losses, run.steps, run.steps_per_epoch)]
    limits = caps(run.recipe)
    if limits:
        results["ceiling"] = [at_cap(_last_bounds(run), limits)]
    return {check: [one for one in found if one is not None] for check, found in results.items()}


def _last_bounds(run: ReportedRun) -> dict[str, float]:
    """Return the last bound that the run has logged of each term, in nats."""
    names = {f"{term}_nats": term for term in term_names(run.recipe)}
    return {names[key]: value for point in run.points for key, value in point.items() if key in names}


def _unlabelled(images: ImageSet) -> ImageSet:
    return replace(images, labels=None, class_names=())
