"""Metrics that show whether images are still like those of the training."""

import numpy as np
from numpy.typing import NDArray

from service.inference.histograms import observe_all
from service.metrics import MAP_NATS, TRAINING_DISTANCE


class DriftMetrics:
    """Drift metrics of one model version, observed once a batch."""

    def __init__(self, model: str) -> None:
        self._distance = TRAINING_DISTANCE.labels(model)
        self._nats = MAP_NATS.labels(model)

    def observe(self, training_distance: NDArray[np.float32], mi_map: NDArray[np.float32] | None) -> None:
        """Observe finite answers: distances [N], and own-code maps [K, M, M] of those that have one."""
        observe_all(self._distance, training_distance)
        if mi_map is not None:
            observe_all(self._nats, mi_map.mean(axis=(1, 2)))
