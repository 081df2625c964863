"""How much a frozen layer says about classes: classifiers whose every choice is made on training data."""

from training.evaluation.probes.knn import WEIGHTED_K, BankNeighbours, K, knn_accuracy
from training.evaluation.probes.linear import fit_linear
from training.evaluation.probes.nonlinear import NonlinearProbe, fit_nonlinear
from training.evaluation.probes.penalised import LinearProbe
from training.evaluation.probes.svm import fit_svm

__all__ = [
    "WEIGHTED_K",
    "BankNeighbours",
    "K",
    "LinearProbe",
    "NonlinearProbe",
    "fit_linear",
    "fit_nonlinear",
    "fit_svm",
    "knn_accuracy",
]
