"""Warm-up of a model: every batch size is run and checked before a request comes."""

from collections.abc import Sequence
from time import perf_counter

import numpy as np

from service.inference.model import Model

_TIMED_RUNS = 3


def warm_up(model: Model, buckets: Sequence[int]) -> float:
    """Run the self-test in every batch size; return the images per second of the largest.

    Raises:
        ArtefactError: the model's outputs differ from its card's.
    """
    # The largest first: the memory that it takes is enough for all others.
    for bucket in reversed(buckets):
        model.self_test(bucket)
    rule, largest = model.card.preprocessing, buckets[-1]
    images = np.zeros((largest, rule.height, rule.width, 3), np.uint8)
    started = perf_counter()
    for _ in range(_TIMED_RUNS):
        model.encode(images, features=False)
    return _TIMED_RUNS * largest / (perf_counter() - started)
