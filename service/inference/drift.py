"""Metrics that show whether images are still like those of the training."""

import numpy as np
from numpy.typing import NDArray
from prometheus_client import Histogram

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


def observe_all(histogram: Histogram, values: NDArray[np.float32]) -> None:
    """Observe values [N], at the cost of one observation for each bucket that they fall into.

    The client has no call for more than one value, and its own is a loop over the buckets.
    """
    if not len(values):
        return
    histogram._sum.inc(float(values.sum(dtype=np.float64)))
    if len(values) == 1:
        places, counts = [int(np.searchsorted(histogram._upper_bounds, values[0]))], [1]
    else:
        found = np.bincount(np.searchsorted(histogram._upper_bounds, values))
        places = np.flatnonzero(found).tolist()
        counts = found[places].tolist()
    for place, count in zip(places, counts, strict=True):
        histogram._buckets[place].inc(count)
