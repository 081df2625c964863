"""What the same classifiers reach without training: on an untrained encoder, and on raw pixels."""

from dataclasses import dataclass

import torch
import torch.nn.functional as F  # noqa: N812  (torch's own convention)
from torch import Tensor

from contract.card import ProbeScore
from training.data import ImageSet
from training.data.views import to_unit
from training.evaluation.probes import fit_linear, knn_accuracy
from training.evaluation.quality import measure_quality, shared_labels
from training.export.embedding_graph import embedded, frozen_graph
from training.loop.input_statistics import fit_input
from training.model.encoders import build_encoder
from training.recipe import Recipe

_PIXELS = 32
_AT_ONCE = 512


@dataclass(frozen=True)
class Baselines:
    """Accuracies that a trained encoder is to be compared with.

    Attributes:
        untrained: every layer of an untrained encoder of the same kind, that of the run's seed.
        pixels: by kind of classifier, "linear" and "knn", on raw pixels.
    """

    untrained: tuple[ProbeScore, ...]
    pixels: dict[str, float]

    def untrained_accuracy(self, score: ProbeScore) -> float | None:
        """Find the accuracy of the same classifier on the same layer of the untrained encoder."""
        for other in self.untrained:
            if (other.probe, other.layer) == (score.probe, score.layer):
                return other.accuracy
        return None


def measure_baselines(recipe: Recipe, training: ImageSet, held_out: ImageSet) -> Baselines:
    """Measure both on labelled images, as the trained encoder is measured.

    Raises:
        DataError: the labels of the two sets do not fit together.
    """
    torch.manual_seed(recipe.seed)
    encoder = build_encoder(recipe.encoder, recipe.input_size)
    fit_input(encoder, training.pixels, recipe)
    frozen = frozen_graph(embedded(encoder.eval(), recipe.embedding_layer, training, recipe.seed))
    quality = measure_quality(frozen, training, held_out, split="", seed=recipe.seed)
    return Baselines(quality.scores, _pixel_accuracies(training, held_out, recipe.seed))


def _pixel_accuracies(training: ImageSet, held_out: ImageSet, seed: int) -> dict[str, float]:
    labels, truth = (torch.from_numpy(each) for each in shared_labels(training, held_out))
    bank, queries = _small(training), _small(held_out)
    linear = fit_linear(bank, labels, len(training.class_names), seed, "linear pixels")
    return {
        "linear": linear.accuracy(queries, truth),
        "knn": knn_accuracy(bank, labels, queries, truth),
    }


def _small(images: ImageSet) -> Tensor:
    """Shrink images to 32 x 32 and flatten them: float32 [N, 3072]."""
    parts = (images.pixels[start : start + _AT_ONCE] for start in range(0, len(images), _AT_ONCE))
    small = [F.interpolate(to_unit(torch.from_numpy(part)), _PIXELS, mode="area") for part in parts]
    return torch.cat(small).flatten(1)
