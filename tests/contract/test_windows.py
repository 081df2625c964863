"""Windows beside a model's input: what they show of the image, and where their patches lie."""

import numpy as np
import pytest
from PIL import Image, ImageOps

from contract.images import decode
from contract.patches import PatchGrid
from contract.placement import place
from contract.preprocessing import Preprocessing, ResizeRule
from contract.resizing import resized
from contract.windows import displacements, windows
from tests.pictures import encoded, landscape

SIDE = 32
RULES: tuple[ResizeRule, ...] = ("stretch", "center_crop", "letterbox")
SIZES = ((32, 32), (300, 200), (61, 97), (20, 33), (640, 3), (2, 500))


def rule_of(name: ResizeRule) -> Preprocessing:
    return Preprocessing(height=SIDE, width=SIDE, resize_rule=name, background=(9, 9, 9))


@pytest.mark.parametrize("name", RULES)
@pytest.mark.parametrize("size", SIZES)
def test_a_window_that_is_not_moved_is_the_input(name: ResizeRule, size: tuple[int, int]) -> None:
    picture, rule = landscape(*size), rule_of(name)
    (window,) = windows(picture, rule, size, [0.0])[0]
    # Pillow chooses which axis it resamples first, and rounds between the two.
    assert np.abs(window - np.asarray(resized(picture, rule, size)).astype(int)).max() <= 1


def test_whole_displacements_of_an_image_of_the_input_s_size_move_its_pixels_and_repeat_its_edge() -> None:
    picture = landscape(SIDE, SIDE)
    found = windows(picture, rule_of("stretch"), picture.size, [-2, 1])
    wide = np.pad(np.asarray(picture), ((2, 2), (2, 2), (0, 0)), mode="edge")
    for row, down in enumerate((0, 3)):
        for column, right in enumerate((0, 3)):
            np.testing.assert_array_equal(found[row, column], wide[down : down + SIDE, right : right + SIDE])


def test_half_pixels_are_resampled() -> None:
    ramp = np.repeat(np.arange(0, 256, 8, dtype=np.uint8)[None, :, None], SIDE, axis=0).repeat(3, axis=2)
    (window,) = windows(Image.fromarray(ramp), rule_of("stretch"), (SIDE, SIDE), [0.5])[0]
    np.testing.assert_array_equal(window[:, :-1], ramp[:, :-1] + 4)


def test_a_window_of_a_centre_crop_shows_what_lies_beside_the_crop() -> None:
    picture = landscape(2 * SIDE, SIDE)
    found = windows(picture, rule_of("center_crop"), picture.size, [-3, 0, 3])
    for column, start in enumerate((13, 16, 19)):
        np.testing.assert_array_equal(found[1, column], np.asarray(picture)[:, start : start + SIDE])


def test_a_window_of_a_letterboxed_image_keeps_the_background() -> None:
    picture = Image.new("RGB", (SIDE, SIDE // 2), (200, 0, 0))
    found = windows(picture, rule_of("letterbox"), picture.size, [-3, 0.5, 3])
    for row, filled in enumerate((slice(11, 27), slice(7, 24), slice(5, 21))):
        shown = (found[row, 1] == (200, 0, 0)).all(axis=2)
        expected = np.zeros((SIDE, SIDE), np.bool_)
        expected[filled] = True
        np.testing.assert_array_equal(shown, expected)
        assert (found[row, 1][~expected] == 9).all()


@pytest.mark.parametrize("name", RULES)
@pytest.mark.parametrize("size", SIZES[:3])
@pytest.mark.parametrize("resolution", [2, 4])
def test_the_windows_of_a_mirrored_image_are_the_mirrored_windows(
    name: ResizeRule, size: tuple[int, int], resolution: int
) -> None:
    picture, moved = landscape(*size), displacements(4, resolution)
    straight = windows(picture, rule_of(name), size, moved)
    mirrored = windows(ImageOps.mirror(picture), rule_of(name), size, moved)
    difference = mirrored.astype(int) - straight[:, ::-1, :, ::-1]
    # Rounding, twice.
    assert np.abs(difference).max() <= 2


def test_windows_come_with_a_decode_and_change_nothing_else() -> None:
    data = encoded(landscape(300, 200), "JPEG")
    alone = decode(data, rule_of("stretch"))
    beside = decode(data, rule_of("stretch"), displacements=(0.0, 1.5))
    assert alone.windows is None
    assert beside.windows is not None
    np.testing.assert_array_equal(alone.pixels, beside.pixels)
    assert np.abs(beside.windows[0, 0] - beside.pixels.astype(int)).max() <= 1


@pytest.mark.parametrize("resolution", [1, 2, 4])
def test_a_finer_grid_divides_each_patch_around_its_centre(resolution: int) -> None:
    grid = PatchGrid(rows=4, columns=8, stride=6, receptive_field=10, first_centre=3)
    finer = grid.finer(resolution)
    assert (finer.rows, finer.columns) == (4 * resolution, 8 * resolution)
    centres = finer.first_centre + finer.stride * np.arange(finer.columns)
    coarse = grid.first_centre + grid.stride * np.arange(grid.columns)
    np.testing.assert_allclose(centres.reshape(-1, resolution).mean(axis=1), coarse)
    # Each place of the finer grid is that of a window's patch.
    moved = displacements(grid.stride, resolution)
    np.testing.assert_allclose(centres, np.add.outer(coarse, moved).ravel())


def test_boxes_of_a_finer_grid_are_the_model_s_receptive_fields_where_they_lie_inside() -> None:
    grid = PatchGrid(rows=8, columns=8, stride=4, receptive_field=10, first_centre=2)
    boxes = grid.finer(2).boxes(place(rule_of("stretch"), (2 * SIDE, SIDE)))
    inner = boxes[6][6]
    assert (inner.right - inner.left, inner.bottom - inner.top) == (20, 10)
    following = boxes[7][7]
    assert (following.left - inner.left, following.top - inner.top) == (4, 2)
    assert (boxes[0][0].left, boxes[15][15].right, boxes[15][15].bottom) == (0, 2 * SIDE, SIDE)
