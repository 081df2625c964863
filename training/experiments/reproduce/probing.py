"""The paper's classifiers on the paper's layers (Hjelm et al. 2019, section 4.2), and nearest neighbours."""

from collections.abc import Callable, Iterator
from typing import Protocol

import torch
from torch import Tensor

from training.data import ImageSet
from training.evaluation.frozen import without_embedding
from training.evaluation.probes import fit_linear, fit_nonlinear, fit_svm, knn_accuracy
from training.evaluation.quality import shared_labels
from training.experiments.reproduce.result import Score
from training.model.encoders import Encoder

LAYERS = ("conv", "fc", "Y")


class _Fitted(Protocol):
    def accuracy(self, vectors: Tensor, labels: Tensor) -> float: ...


# Vectors [N, D], labels [N], number of classes, seed, title.
_Fit = Callable[[Tensor, Tensor, int, int, str], _Fitted]
_FITTED: dict[str, _Fit] = {"linear": fit_linear, "SVM": fit_svm, "non-linear": fit_nonlinear}
_NEIGHBOURS = "kNN"
PROBES = (*_FITTED, _NEIGHBOURS)


def probe(encoder: Encoder, training: ImageSet, test: ImageSet, seed: int) -> Iterator[Score]:
    """Measure one classifier after the other, so that the caller can stop between two.

    Choices are made on the tenth of the training images that the seed draws: the same that an encoder with
    this seed was not trained on.

    Raises:
        DataError: labels are missing, or the two sets' do not fit together.
    """
    labels, truth = (torch.from_numpy(each) for each in shared_labels(training, test))
    classes = int(torch.maximum(labels.max(), truth.max())) + 1
    frozen = without_embedding(encoder)
    known, asked = frozen.layers(training.pixels), frozen.layers(test.pixels)
    for layer in LAYERS:
        for name, fit in _FITTED.items():
            fitted = fit(known[layer], labels, classes, seed, f"{name} on {layer}")
            yield Score(layer=layer, probe=name, accuracy=fitted.accuracy(asked[layer], truth))
        accuracy = knn_accuracy(known[layer], labels, asked[layer], truth)
        yield Score(layer=layer, probe=_NEIGHBOURS, accuracy=accuracy)
