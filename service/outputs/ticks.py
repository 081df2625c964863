"""Round numbers along an axis."""

import math

_ROUND = (1, 2, 5, 10)


def ticks(low: float, high: float, most: int, least_step: float = 0.0) -> list[float]:
    """Choose multiples of 1, 2 or 5 times a power of ten, at most `most` steps of them, within the range."""
    rough = max((high - low) / max(most, 1), least_step)
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(factor * power for factor in _ROUND if factor * power >= rough * (1 - 1e-9))
    first, last = math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9)
    return [number * step for number in range(first, last + 1)]


def label(value: float) -> str:
    """Write a tick, in ASCII: Pillow's own font has no minus sign."""
    return f"{value + 0.0:.6g}"
