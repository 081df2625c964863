"""How many labels training from scratch needs for an accuracy: the n̂ of Newell and Deng (2020).

Utility is U(n) = n̂ / n - 1 with a_scratch(n̂) = a_pretrained(n) (arXiv 2003.14323, section 3): the share of
labels that pretraining saves, on top of those that were given.
"""

import math
from collections.abc import Sequence
from typing import Literal

import numpy as np
from pydantic import BaseModel, ConfigDict

# Accuracies are shares of some thousand images; what differs by less is the same share, rounded otherwise.
_SAME = 1e-6

Bound = Literal["exactly", "more than", "fewer than"]


class Equivalent(BaseModel):
    """A number of labels from scratch, or the end of the curve that it lies beyond.

    Attributes:
        labels: n̂, or the largest or smallest number of labels that from scratch was trained on.
        bound: whether n̂ is `labels`, or only known to be more or fewer.
    """

    model_config = ConfigDict(frozen=True)

    labels: float
    bound: Bound = "exactly"

    def utility(self, given: int) -> float:
        """Return U(n) for the n labels that the pretrained encoder was given; a bound where n̂ is one."""
        return self.labels / given - 1


def equivalent_labels(labels: Sequence[int], accuracies: Sequence[float], reached: float) -> Equivalent:
    """Find where the curve of training from scratch reaches an accuracy.

    More labels do not hurt, so a dip of the curve is noise: it is raised to the best accuracy so far, which
    never favours pretraining. Between two points the curve is straight over log n. Of several numbers of
    labels with the same accuracy the smallest counts.

    Args:
        labels: numbers of labels, ascending.
        accuracies: of training from scratch with each.
        reached: the accuracy to look for.
    """
    raised = np.maximum.accumulate(np.asarray(accuracies, np.float64))
    after = int(np.searchsorted(raised, reached - _SAME))
    if after == len(raised):
        return Equivalent(labels=labels[-1], bound="more than")
    if raised[after] - reached < _SAME:
        return Equivalent(labels=labels[after])
    if after == 0:
        return Equivalent(labels=labels[0], bound="fewer than")
    share = (reached - raised[after - 1]) / (raised[after] - raised[after - 1])
    low, high = math.log(labels[after - 1]), math.log(labels[after])
    return Equivalent(labels=math.exp(low + share * (high - low)))
