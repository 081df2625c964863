"""Reliability of nats: claimed against observed log density ratios.

A pointwise mutual information of t nats claims that such a patch occurs e^t times as often with such a code
as by chance. So pairs whose map says t have to be e^t times as frequent among pairs of a patch and its own
image's code as among those with another image's code. The observed value of a bin is the logarithm of that
ratio. Its standard error is a jackknife over groups of images (Efron and Stein 1981), since the patches of an
image are not independent.
"""

import math

import numpy as np
from numpy.typing import NDArray

from contract.map_measures import Bin
from training.evaluation.maps.subject import Floats, Pixels, Subject

_GROUPS = 20
# With fewer pairs of either kind a bin says nothing.
_FEWEST = 50
_REACH = 12


def measure(subject: Subject, pixels: Pixels) -> tuple[Bin, ...]:
    """Measure all bins of one nat that have enough pairs, on uint8 [N, H, W, 3], each against all others."""
    features, codes = subject.features_and_codes(pixels)
    local, global_, normaliser = subject.projections(features, codes)
    patches = local.reshape(*local.shape[:2], -1)
    own, other, claimed = [], [], np.zeros(2 * _REACH + 1)
    for place, (projected, offset) in enumerate(zip(patches, normaliser, strict=True)):
        values = global_ @ projected - offset.ravel()
        mine = values[place]
        own.append(_counts(mine))
        claimed += np.bincount(_bin_of(mine), mine, minlength=len(claimed))
        other.append(_counts(np.delete(values, place, axis=0).ravel()))
    ceiling = subject.card.calibration.ceiling_nats
    return tuple(_bins(np.stack(own), np.stack(other), claimed, ceiling))


def _bin_of(values: Floats) -> NDArray[np.int64]:
    return np.clip(np.rint(values), -_REACH, _REACH).astype(np.int64) + _REACH


def _counts(values: Floats) -> NDArray[np.int64]:
    return np.bincount(_bin_of(values), minlength=2 * _REACH + 1)


def _bins(
    own: NDArray[np.int64], other: NDArray[np.int64], claimed: NDArray[np.float64], ceiling: float
) -> list[Bin]:
    """Compare counts by image and bin, int64 [N, bins], but for the outermost bins, which have no end."""
    groups = np.arange(len(own)) % min(_GROUPS, len(own))
    found = []
    for place in range(1, own.shape[1] - 1):
        mine, others = int(own[:, place].sum()), int(other[:, place].sum())
        if min(mine, others) < _FEWEST:
            continue
        left_out = np.array([_log_ratio(own, other, place, groups != group) for group in np.unique(groups)])
        count = len(left_out)
        error = math.sqrt((count - 1) / count * float(np.square(left_out - left_out.mean()).sum()))
        whole = float(claimed[place]) / mine
        found.append(
            Bin(
                claimed=whole,
                observed=_log_ratio(own, other, place, np.ones(len(own), np.bool_)),
                standard_error=error,
                own=mine,
                other=others,
                above_ceiling=whole > ceiling,
            )
        )
    return found


def _log_ratio(
    own: NDArray[np.int64], other: NDArray[np.int64], place: int, rows: NDArray[np.bool_]
) -> float:
    """Compute the log ratio of the shares of pairs in a bin; half a pair more keeps it finite."""
    shares = [(counts[rows, place].sum() + 0.5) / counts[rows].sum() for counts in (own, other)]
    return float(np.log(shares[0] / shares[1]))
