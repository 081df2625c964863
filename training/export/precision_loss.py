"""What an encoder loses in 8 bits, measured on the embedding: what is served is what is compared."""

import numpy as np
import torch
from numpy.typing import NDArray

from contract.precision import PrecisionLoss
from training.data import ImageSet
from training.errors import ExportError
from training.evaluation.frozen import FrozenEncoder
from training.evaluation.probes import fit_linear, knn_accuracy
from training.evaluation.quality import shared_labels

LEAST_COSINE = 0.99
"""Mean cosine that is asked for where no labels say what a smaller one would cost."""
_EMBEDDING = ("embedding",)


def measure_loss(
    fp32: FrozenEncoder,
    int8: FrozenEncoder,
    training: ImageSet,
    held_out: ImageSet,
    *,
    split: str,
    seed: int,
) -> PrecisionLoss:
    """Compare both encoders' embeddings of the same images, and what they are worth to the same classifiers.

    Args:
        fp32, int8: the encoders.
        training: images that the classifiers are fitted on and neighbours found among.
        held_out: images that nothing was fitted to.
        split: their name for the card.
        seed: of the linear classifiers' validation part.

    Raises:
        DataError: the labels of the two sets do not fit together.
    """
    asked = [encoder.encode(held_out.pixels, _EMBEDDING)["embedding"] for encoder in (fp32, int8)]
    cosines = _cosines(*asked)
    same = PrecisionLoss(
        split=split,
        images=len(held_out),
        mean_cosine=float(cosines.mean()),
        least_cosine=float(cosines.min()),
    )
    if training.labels is None or held_out.labels is None:
        return same
    labels, truth = (torch.from_numpy(each) for each in shared_labels(training, held_out))
    classes = int(torch.maximum(labels.max(), truth.max())) + 1
    accuracies: dict[str, float] = {}
    for name, encoder, vectors in zip(("fp32", "int8"), (fp32, int8), asked, strict=True):
        queries = torch.from_numpy(vectors)
        known = torch.from_numpy(encoder.encode(training.pixels, _EMBEDDING)["embedding"])
        accuracies[f"knn_{name}"] = knn_accuracy(known, labels, queries, truth)
        probe = fit_linear(known, labels, classes, seed, f"linear embedding, {name}")
        accuracies[f"linear_{name}"] = probe.accuracy(queries, truth)
    return same.model_copy(update=accuracies)


def check_loss(loss: PrecisionLoss, largest_points: float) -> None:
    """Refuse an int8 encoder that loses more than is allowed.

    Raises:
        ExportError: by how much, and what to do.
    """
    if loss.points is None:
        if loss.mean_cosine < LEAST_COSINE:
            raise ExportError(
                f"Embeddings in int8 have a mean cosine of {loss.mean_cosine:.4f} with those in fp32, less "
                f"than {LEAST_COSINE}, and without labels nothing says what that costs; keep to fp32, or "
                "name labelled images. Nothing was written."
            )
    elif loss.points > largest_points:
        raise ExportError(
            f"In int8 the encoder loses {loss.points:.2f} points of accuracy, more than {largest_points:g}; "
            "keep to fp32, or allow more with --largest-loss. Nothing was written."
        )


def _cosines(one: NDArray[np.float32], other: NDArray[np.float32]) -> NDArray[np.float64]:
    """Compute cosines row by row of two float32 [N, D]."""
    norms = np.linalg.norm(one, axis=1) * np.linalg.norm(other, axis=1)
    cosines: NDArray[np.float64] = np.einsum("nd,nd->n", one, other, dtype=np.float64) / norms
    return cosines
