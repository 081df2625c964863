"""Upright RGB image to a model's input, by the resize rule of its record."""

from PIL import Image

from contract.placement import place
from contract.preprocessing import Preprocessing


def draft_size(rule: Preprocessing, original: tuple[int, int]) -> tuple[int, int] | None:
    """Return the least (width, height) that a reduced decode may have; None for no reduced decode.

    Args:
        rule: states how many pixels the input's pixels are made of at least.
        original: (width, height) of the upright image.
    """
    if rule.draft_factor == 0:
        return None
    if rule.decoder == "pillow-1":
        # It knew no orientation before the decode, so both axes have to hold the larger side.
        side = rule.draft_factor * max(rule.width, rule.height)
        return side, side
    placement = place(rule, original)
    # Where one axis is cut, the other one is seen whole and says how much smaller both may be.
    width, height = (
        rule.draft_factor * axis.filled_length if axis.seen == (0, length) else 1
        for axis, length in zip((placement.across, placement.down), original, strict=True)
    )
    return width, height


def resized(image: Image.Image, rule: Preprocessing, original: tuple[int, int]) -> Image.Image:
    """Resample what the rule shows of an image.

    Args:
        image: upright, RGB; the original, or a reduced decode of it.
        rule: with the size of the input.
        original: (width, height) of the upright original.
    """
    placement = place(rule, original)
    across, down = placement.across, placement.down
    x, y = image.width / original[0], image.height / original[1]
    seen = (across.seen[0] * x, down.seen[0] * y, across.seen[1] * x, down.seen[1] * y)
    size = (across.filled_length, down.filled_length)
    shown = image.resize(size, Image.Resampling.BILINEAR, box=seen)
    if size == (rule.width, rule.height):
        return shown
    framed = Image.new("RGB", (rule.width, rule.height), rule.background)
    framed.paste(shown, (across.filled[0], down.filled[0]))
    return framed
