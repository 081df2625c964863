"""One cell from images to figures."""

from pathlib import Path

import torch

from training.data import ImageSet
from training.data.set_aside import fitted_and_validation
from training.evaluation.label_free import label_free
from training.evaluation.probes import fit_linear, knn_accuracy
from training.experiments.ablation.result import AblationResult
from training.export.embedding_graph import embedded, frozen_graph
from training.loop.execution import Execution
from training.loop.resume import train_or_resume
from training.recipe import Recipe


def run(
    without: str, recipe: Recipe, images: ImageSet, folder: Path, execution: Execution
) -> AblationResult | None:
    """Train, or go on training, in `folder`, and measure; None when a signal stopped it.

    Raises:
        TrainingError: the loss is not finite, or there are too few images.
    """
    trained = train_or_resume(recipe, images, folder, execution=execution)
    if trained is None:
        return None
    known, asked = fitted_and_validation(images, recipe)
    assert known.labels is not None and asked.labels is not None  # noqa: S101  (the command has looked)
    labels, truth = torch.from_numpy(known.labels), torch.from_numpy(asked.labels)
    frozen = frozen_graph(embedded(trained.encoder, "fc", known, recipe.seed))
    bank, queries = frozen.layers(known.pixels), frozen.layers(asked.pixels)

    def linear(layer: str) -> float:
        probe = fit_linear(bank[layer], labels, len(images.class_names), recipe.seed, f"linear {layer}")
        return probe.accuracy(queries[layer], truth)

    free = label_free(trained.encoder, asked, recipe.augmentation, recipe.seed)
    return AblationResult(
        without=without,
        seed=recipe.seed,
        recipe=recipe.model_dump_json(),
        images=len(images),
        precision=execution.precision,
        linear_conv=linear("conv"),
        linear_fc=linear("fc"),
        neighbours_fc=knn_accuracy(bank["fc"], labels, queries["fc"], truth),
        neighbours=knn_accuracy(bank["embedding"], labels, queries["embedding"], truth),
        rank_me=free.rank_me,
        alpha=free.alpha,
        lidar=free.lidar,
        seconds=trained.seconds,
    )
