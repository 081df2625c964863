"""Whether training was long enough, and how many epochs it would take."""

import math
import statistics
from collections.abc import Sequence

from contract.counts import counted
from training.report.findings import RunFinding

# An encoder of this kind has learned little before the first number of steps, and much by the second.
_FEWEST_STEPS, _ENOUGH_STEPS = 500, 2_000
_MOST_FALLING = 0.05
# Windows of the run, as shares of its steps, whose mean losses are compared.
_BEFORE, _LAST = (0.65, 0.75), (0.9, 1.0)
# The curve says little about times much longer than itself.
_LONGEST_EXTENSION = 8.0


def too_few_steps(losses: Sequence[tuple[int, float]], steps: int, steps_per_epoch: int) -> RunFinding | None:
    """Find a loss that was still falling when training ended, or a run too short to have one.

    Args:
        losses: (step, loss) in order.
        steps: how many were taken.
        steps_per_epoch: of the run.
    """
    epochs = steps / steps_per_epoch
    if steps < _FEWEST_STEPS:
        return RunFinding(
            "steps",
            "undecided",
            "Too short to judge",
            f"Steps taken: {steps:,}, {counted(epochs, 'epoch', '.3g')} of "
            f"{counted(steps_per_epoch, 'step')}. "
            f"An encoder of this kind needs about {_ENOUGH_STEPS:,}.",
            _advice(math.ceil(_ENOUGH_STEPS / steps_per_epoch)),
        )
    share = falling_share(losses, steps)
    if share <= _MOST_FALLING:
        return None
    return RunFinding(
        "steps",
        "warning",
        "Training stopped while it was still improving",
        f"The last quarter of the {steps:,} steps brought {share:.0%} of the loss's whole fall (settled: "
        f"{_MOST_FALLING:.0%} at most).",
        _advice(math.ceil(epochs * extension(share))),
    )


def falling_share(losses: Sequence[tuple[int, float]], steps: int) -> float:
    """Measure which share of the loss's whole fall the last quarter of the steps brought."""
    before = _mean(losses, _BEFORE[0] * steps, _BEFORE[1] * steps)
    last = _mean(losses, _LAST[0] * steps, _LAST[1] * steps)
    whole = _mean(losses, 0, max(losses[0][0], 0.05 * steps)) - last
    return (before - last) / whole if whole > 0 else 0.0


def extension(share: float) -> float:
    """Compute how many times as long a run has to be for its loss to settle.

    The loss is taken to fall exponentially, with the rate that explains this share of the last quarter. The
    wanted rate is that of a loss that counts as settled.
    """
    return min(_LONGEST_EXTENSION, _rate(_MOST_FALLING) / _rate(share))


def _rate(share: float) -> float:
    """Invert the share that an exponential fall of this many time constants brings in the last quarter."""
    low, high = 1e-6, 100.0
    for _ in range(60):
        middle = (low + high) / 2
        if _exponential_share(middle) > share:
            low = middle
        else:
            high = middle
    return (low + high) / 2


def _exponential_share(rate: float) -> float:
    before, last = sum(_BEFORE) / 2, sum(_LAST) / 2
    fall = -math.expm1(-rate * last)
    return (math.exp(-rate * before) - math.exp(-rate * last)) / fall


def _advice(epochs: int) -> str:
    return f"Train anew with --epochs {epochs}; the decay of the learning rate follows."


def _mean(losses: Sequence[tuple[int, float]], first: float, last: float) -> float:
    return statistics.fmean([loss for step, loss in losses if first <= step <= last] or [losses[-1][1]])
