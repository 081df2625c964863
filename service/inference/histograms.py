"""Observations of many values at once: one by one, they cost an image more than its place in a batch."""

from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray
from prometheus_client import Histogram


def observe_all(histogram: Histogram, values: Iterable[float] | NDArray[np.float32]) -> None:
    """Observe values [N], at the cost of one observation for each bucket that they fall into.

    The client has no call for more than one value, and its own is a loop over the buckets.
    """
    found = np.fromiter(values, np.float64)
    if not len(found):
        return
    histogram._sum.inc(float(found.sum()))
    if len(found) == 1:
        places, counts = [int(np.searchsorted(histogram._upper_bounds, found[0]))], [1]
    else:
        by_bucket = np.bincount(np.searchsorted(histogram._upper_bounds, found))
        places = np.flatnonzero(by_bucket).tolist()
        counts = by_bucket[places].tolist()
    for place, count in zip(places, counts, strict=True):
        histogram._buckets[place].inc(count)
