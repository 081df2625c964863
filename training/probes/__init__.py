"""How much a frozen layer says about classes: classifiers whose every choice is made on training data."""

from training.probes.knn import K, knn_accuracy
from training.probes.linear import LinearProbe, fit_linear

__all__ = ["K", "LinearProbe", "fit_linear", "knn_accuracy"]
