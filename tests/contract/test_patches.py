"""Where patches lie in the original image."""

import pytest

from contract.patches import PatchGrid
from contract.placement import Placement, place
from contract.preprocessing import Preprocessing

# The map behind two convolutions of kernel 4, stride 2, padding 1 over 32 pixels.
GRID = PatchGrid(rows=8, columns=8, stride=4, receptive_field=10, first_centre=2)


def stretched(input_size: tuple[int, int], original: tuple[int, int]) -> Placement:
    return place(Preprocessing(width=input_size[0], height=input_size[1]), original)


def test_a_patch_in_the_middle_sees_its_receptive_field() -> None:
    box = GRID.boxes(stretched((32, 32), (32, 32)))[3][4]
    assert (box.left, box.right, box.top, box.bottom) == (13, 23, 9, 19)


def test_boxes_end_at_the_image() -> None:
    boxes = GRID.boxes(stretched((32, 32), (32, 32)))
    assert (boxes[0][0].left, boxes[0][0].top) == (0, 0)
    assert (boxes[7][7].right, boxes[7][7].bottom) == (32, 32)


def test_together_the_boxes_cover_every_pixel() -> None:
    row = GRID.boxes(stretched((32, 32), (32, 32)))[0]
    covered = {pixel for box in row for pixel in range(int(box.left), int(box.right))}
    assert covered == set(range(32))


def test_boxes_scale_to_the_original_axis_by_axis() -> None:
    small = GRID.boxes(stretched((32, 32), (32, 32)))[2][5]
    large = GRID.boxes(stretched((32, 32), (640, 320)))[2][5]
    assert large.left == pytest.approx(20 * small.left)
    assert large.right == pytest.approx(20 * small.right)
    assert large.top == pytest.approx(10 * small.top)
    assert large.bottom == pytest.approx(10 * small.bottom)


def test_rows_come_first() -> None:
    grid = PatchGrid(rows=2, columns=3, stride=8, receptive_field=8, first_centre=4)
    boxes = grid.boxes(stretched((24, 16), (24, 16)))
    assert (len(boxes), len(boxes[0])) == (2, 3)
    assert (boxes[1][2].left, boxes[1][2].top) == (16, 8)
