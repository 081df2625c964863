"""How much a frozen layer says about classes: classifiers whose every choice is made on training data."""

from training.probes.knn import K, knn_accuracy
from training.probes.linear import fit_linear
from training.probes.nonlinear import NonlinearProbe, fit_nonlinear
from training.probes.penalised import LinearProbe
from training.probes.svm import fit_svm

__all__ = [
    "K",
    "LinearProbe",
    "NonlinearProbe",
    "fit_linear",
    "fit_nonlinear",
    "fit_svm",
    "knn_accuracy",
]
