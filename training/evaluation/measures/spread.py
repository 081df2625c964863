"""Spread: how many directions and dimensions the code makes use of; the signs of a collapsed encoder.

The effective rank is that of Roy and Vetterli (2007). A dimension counts as dead when
its variance over held-out images is less than a thousandth of the mean over dimensions. Nothing is fitted.
"""

from torch import Tensor

from training.evaluation.effective_rank import effective_rank
from training.evaluation.measures.figure import Figure
from training.evaluation.measures.inputs import MeasureInputs

_DEAD = 1e-3


def measure(inputs: MeasureInputs) -> list[Figure]:
    """Measure the effective rank and the share of dead dimensions of the code."""
    code = inputs.code.test
    images = len(code)
    return [
        Figure(
            measure="spread",
            name="effective rank of the code",
            value=effective_rank(code),
            unit="dimensions",
            limit=float(min(images - 1, code.shape[1])),
            images=images,
        ),
        Figure(
            measure="spread",
            name="dead dimensions of the code",
            value=dead_share(code),
            unit="share",
            limit=1.0,
            images=images,
        ),
    ]


def dead_share(code: Tensor) -> float:
    """Measure the share of dimensions of float32 [N, Y] that hardly vary; 1 when nothing does."""
    variance = code.double().var(dim=0)
    return float((variance <= _DEAD * variance.mean()).double().mean())
