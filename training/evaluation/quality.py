"""What a frozen encoder is worth: every layer probed, on images that nothing was chosen by."""

from collections.abc import Iterator
from typing import Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from contract.card import ProbeScore, Quality
from training.data import ImageSet
from training.errors import DataError
from training.evaluation.frozen import FrozenEncoder
from training.evaluation.probes import WEIGHTED_K, BankNeighbours, K, fit_linear

# The served embedding is made of one of these layers: its neighbours tell what that brings or costs.
_LINEAR = ("conv", "fc", "Y")


class Labelled(Protocol):
    """A data set's classes, known before an image is decoded as well as afterwards."""

    @property
    def labels(self) -> NDArray[np.int64] | None: ...

    @property
    def class_names(self) -> tuple[str, ...]: ...


def shared_labels(training: Labelled, test: Labelled) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Number the labels of both sets by the training set's classes: int64 [N] and [Q].

    Raises:
        DataError: one has no labels, there is only one class, or the test set has a class of its own.
    """
    for name, images in (("training", training), ("test", test)):
        if images.labels is None:
            raise DataError(
                f"The {name} images have no labels, which a probe needs; put them into one sub-folder for "
                "each class, or into a Parquet file with a column label."
            )
    assert training.labels is not None and test.labels is not None  # noqa: S101  (for the type checker)
    if len(np.unique(training.labels)) < 2:
        raise DataError("All training images are of one class; a probe needs at least two.")
    number = {name: label for label, name in enumerate(training.class_names)}
    unknown = sorted(set(test.class_names) - set(number))
    if unknown:
        raise DataError(
            f"The test images have the class {unknown[0]!r}, the training images only "
            f"{', '.join(training.class_names[:20])}; name the classes of both alike."
        )
    renumbered = np.array([number[name] for name in test.class_names], np.int64)
    return training.labels, renumbered[test.labels]


def measure_quality(
    encoder: FrozenEncoder, training: ImageSet, test: ImageSet, *, split: str, seed: int
) -> Quality:
    """Fit a linear classifier on each layer and ask for neighbours in it; read `test` once for each.

    Without labels in both sets there are no scores.

    Args:
        encoder: what is measured.
        training: images that classifiers are fitted and chosen on, and that neighbours are found among.
        test: images that neither the encoder nor a classifier has seen.
        split: name of the test images for the card.
        seed: of the classifiers' validation part and batches.

    Raises:
        DataError: the labels of the two sets do not fit together.
    """
    if training.labels is None or test.labels is None:
        return Quality(split=split, images=len(test))
    labels, truth = (torch.from_numpy(each) for each in shared_labels(training, test))
    known, asked = encoder.layers(training.pixels), encoder.layers(test.pixels)
    most_frequent = labels.bincount().argmax()
    return Quality(
        split=split,
        images=len(test),
        majority=float((truth == most_frequent).float().mean()),
        scores=tuple(_scores(known, labels, asked, truth, seed)),
    )


def _scores(
    known: dict[str, Tensor], labels: Tensor, asked: dict[str, Tensor], truth: Tensor, seed: int
) -> Iterator[ProbeScore]:
    classes = int(torch.maximum(labels.max(), truth.max())) + 1
    for layer in [name for name in _LINEAR if name in known]:
        probe = fit_linear(known[layer], labels, classes, seed, f"linear {layer}")
        yield ProbeScore(
            layer=layer,
            dimensions=known[layer].shape[1],
            probe="linear",
            accuracy=probe.accuracy(asked[layer], truth),
        )
    for layer, vectors in known.items():
        near, dimensions = BankNeighbours.find(vectors, labels, asked[layer]), vectors.shape[1]
        majority, weighted = near.majority_accuracy(truth), near.weighted_accuracy(truth)
        yield ProbeScore(layer=layer, dimensions=dimensions, probe="knn", k=K, accuracy=majority)
        yield ProbeScore(
            layer=layer, dimensions=dimensions, probe="weighted_knn", k=WEIGHTED_K, accuracy=weighted
        )
