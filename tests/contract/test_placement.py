"""Where an original lies in the input, under each resize rule."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from contract.placement import Axis, Placement, place
from contract.preprocessing import Preprocessing, ResizeRule

SIDES = st.integers(8, 1024)
LENGTHS = st.integers(1, 20_000)


def rule(resize_rule: ResizeRule, width: int = 32, height: int = 32) -> Preprocessing:
    return Preprocessing(width=width, height=height, resize_rule=resize_rule)


@pytest.mark.parametrize(
    ("resize_rule", "original", "across", "down"),
    [
        ("stretch", (64, 48), Axis((0, 64), (0, 32)), Axis((0, 48), (0, 32))),
        ("center_crop", (64, 48), Axis((8, 56), (0, 32)), Axis((0, 48), (0, 32))),
        ("center_crop", (48, 64), Axis((0, 48), (0, 32)), Axis((8, 56), (0, 32))),
        ("letterbox", (64, 48), Axis((0, 64), (0, 32)), Axis((0, 48), (4, 28))),
        ("letterbox", (48, 64), Axis((0, 48), (4, 28)), Axis((0, 64), (0, 32))),
        # A line is still one pixel wide.
        ("letterbox", (4000, 1), Axis((0, 4000), (0, 32)), Axis((0, 1), (15, 16))),
    ],
)
def test_an_original_is_placed(
    resize_rule: ResizeRule, original: tuple[int, int], across: Axis, down: Axis
) -> None:
    assert place(rule(resize_rule), original) == Placement(across, down)


def test_the_shorter_side_is_measured_by_the_shape_of_the_input() -> None:
    placement = place(rule("center_crop", width=64, height=32), (100, 80))
    assert placement == Placement(Axis((0, 100), (0, 64)), Axis((15, 65), (0, 32)))
    placement = place(rule("letterbox", width=64, height=32), (100, 80))
    assert placement == Placement(Axis((0, 100), (12, 52)), Axis((0, 80), (0, 32)))


@given(width=LENGTHS, height=LENGTHS, across=SIDES, down=SIDES)
def test_the_middle_is_the_middle_and_nothing_lies_outside(
    width: int, height: int, across: int, down: int
) -> None:
    for resize_rule in ("center_crop", "letterbox", "stretch"):
        placement = place(rule(resize_rule, across, down), (width, height))
        for axis, length, side in ((placement.across, width, across), (placement.down, height, down)):
            assert 0 <= axis.seen[0] < axis.seen[1] <= length
            assert 0 <= axis.filled[0] < axis.filled[1] <= side
            assert sum(axis.seen) == pytest.approx(length)
            assert side - 1 <= sum(axis.filled) <= side
            assert axis.to_original(axis.filled[0]) == axis.seen[0]
            assert axis.to_original(axis.filled[1]) == pytest.approx(axis.seen[1])


@given(width=st.integers(100, 20_000), height=st.integers(100, 20_000), across=SIDES, down=SIDES)
def test_both_axes_are_scaled_alike_unless_stretched(width: int, height: int, across: int, down: int) -> None:
    crop = place(rule("center_crop", across, down), (width, height))
    seen = [axis.seen[1] - axis.seen[0] for axis in (crop.across, crop.down)]
    assert seen[0] / across == pytest.approx(seen[1] / down)
    box = place(rule("letterbox", across, down), (width, height))
    scale = min(across / width, down / height)
    assert abs(box.across.filled_length - max(1, width * scale)) <= 0.5
    assert abs(box.down.filled_length - max(1, height * scale)) <= 0.5
