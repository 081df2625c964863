"""Where the original lies in a model's input, under each resize rule.

Decoding, the boxes of patches and the overlays of maps all take it from here.
"""

from dataclasses import dataclass

from contract.preprocessing import Preprocessing


@dataclass(frozen=True)
class Axis:
    """One side: the stretch of the original that is seen, and the stretch of the input that it fills.

    Attributes:
        seen: (start, end) in pixels of the upright original.
        filled: (start, end) in pixels of the input.
    """

    seen: tuple[float, float]
    filled: tuple[int, int]

    @property
    def filled_length(self) -> int:
        """Number of pixels of the input."""
        return self.filled[1] - self.filled[0]

    def to_original(self, place: float) -> float:
        """Convert a place in the input to the place in the original."""
        scale = (self.seen[1] - self.seen[0]) / self.filled_length
        return self.seen[0] + (place - self.filled[0]) * scale

    def to_input(self, place: float) -> float:
        """Convert a place in the original to the place in the input, which may lie beyond it."""
        scale = self.filled_length / (self.seen[1] - self.seen[0])
        return self.filled[0] + (place - self.seen[0]) * scale


@dataclass(frozen=True)
class Placement:
    """Both sides, from left to right and from top to bottom."""

    across: Axis
    down: Axis


def place(rule: Preprocessing, original: tuple[int, int]) -> Placement:
    """Place an upright original of the size (width, height) in the input."""
    (width, height), (across, down) = original, (rule.width, rule.height)
    # Comparing and rounding integers, every machine and the page's JavaScript find the same.
    wide = width * down >= height * across
    horizontal, vertical = Axis((0, width), (0, across)), Axis((0, height), (0, down))
    if rule.resize_rule == "center_crop":
        if wide:
            horizontal = Axis(_middle(width, height * across / down), (0, across))
        else:
            vertical = Axis(_middle(height, width * down / across), (0, down))
    elif rule.resize_rule == "letterbox":
        if wide:
            vertical = Axis((0, height), _between_borders(down, height * across, width))
        else:
            horizontal = Axis((0, width), _between_borders(across, width * down, height))
    return Placement(horizontal, vertical)


def _middle(length: int, seen: float) -> tuple[float, float]:
    start = (length - seen) / 2
    return start, start + seen


def _between_borders(length: int, numerator: int, denominator: int) -> tuple[int, int]:
    """Return the middle pixels, as many as the fraction rounds to, and at least one."""
    filled = max(1, (2 * numerator + denominator) // (2 * denominator))
    start = (length - filled) // 2
    return start, start + filled
