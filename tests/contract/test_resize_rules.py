"""What is decoded under each resize rule, and that patches find their way back into the original."""

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from contract.images import decode
from contract.patches import PatchGrid
from contract.placement import place
from contract.preprocessing import Preprocessing, ResizeRule
from contract.resizing import draft_size
from tests.pictures import encoded, landscape

RULES: tuple[ResizeRule, ...] = ("stretch", "center_crop", "letterbox")
GREY = (114, 114, 114)
GRID = PatchGrid(rows=8, columns=8, stride=8, receptive_field=8, first_centre=4)


def rule(resize_rule: ResizeRule, width: int = 64, height: int = 64, **fields: object) -> Preprocessing:
    return Preprocessing.model_validate(
        {"width": width, "height": height, "resize_rule": resize_rule, "background": GREY} | fields
    )


def pixels(picture: Image.Image, chosen: Preprocessing, image_format: str = "PNG") -> NDArray[np.int64]:
    return decode(encoded(picture, image_format), chosen).pixels.astype(np.int64)


@pytest.mark.parametrize("resize_rule", RULES)
@pytest.mark.parametrize("size", [(96, 64), (64, 96), (200, 200), (64, 64), (1000, 20), (3, 500), (1, 1)])
@pytest.mark.parametrize("sides", [(64, 64), (48, 80), (224, 8)])
def test_every_size_gives_the_input_s_size(
    resize_rule: ResizeRule, size: tuple[int, int], sides: tuple[int, int]
) -> None:
    decoded = decode(encoded(landscape(*size)), rule(resize_rule, *sides))
    assert decoded.pixels.shape == (sides[1], sides[0], 3)
    assert (decoded.original_width, decoded.original_height) == size


@pytest.mark.parametrize("resize_rule", RULES)
def test_an_image_of_the_input_s_size_is_not_changed(resize_rule: ResizeRule) -> None:
    picture = landscape(80, 48)
    np.testing.assert_array_equal(pixels(picture, rule(resize_rule, 80, 48)), np.asarray(picture))


def test_a_centre_crop_is_the_middle_of_the_whole_resized_by_its_shorter_side() -> None:
    picture = landscape(200, 120)
    middle = picture.resize((100, 60), Image.Resampling.BILINEAR).crop((20, 0, 80, 60))
    np.testing.assert_array_equal(pixels(picture, rule("center_crop", 60, 60)), np.asarray(middle))


def test_a_letterbox_is_the_whole_resized_between_borders() -> None:
    picture = landscape(200, 100)
    found = pixels(picture, rule("letterbox"))
    whole = picture.resize((64, 32), Image.Resampling.BILINEAR)
    np.testing.assert_array_equal(found[16:48], np.asarray(whole))
    assert (found[:16] == GREY).all()
    assert (found[48:] == GREY).all()


@pytest.mark.parametrize("resize_rule", RULES)
@pytest.mark.parametrize("size", [(640, 480), (300, 900), (512, 512), (97, 61)])
@pytest.mark.parametrize("sides", [(64, 64), (64, 32)])
@pytest.mark.parametrize("orientation", [1, 6])
def test_a_planted_patch_is_found_at_its_box(
    resize_rule: ResizeRule, size: tuple[int, int], sides: tuple[int, int], orientation: int
) -> None:
    """Paint what one patch sees; that patch, and of the others only parts of neighbours, change."""
    chosen = rule(resize_rule, *sides)
    grid = GRID.model_copy(update={"rows": sides[1] // 8, "columns": sides[0] // 8})
    boxes = grid.boxes(place(chosen, size))
    exif = Image.Exif()
    exif[0x0112] = orientation
    for row, column in ((2, 3), (0, 4), (3, 0), (1, 7)):
        box = boxes[row][column]
        if box.right - box.left < 2 or box.bottom - box.top < 2:
            continue  # behind the border
        picture = Image.new("RGB", size, "black")
        picture.paste("white", (round(box.left), round(box.top), round(box.right), round(box.bottom)))
        stored = picture.transpose(Image.Transpose.ROTATE_90) if orientation == 6 else picture
        found = decode(encoded(stored, exif=exif), chosen).pixels[..., 0].astype(float)
        across, down = place(chosen, size).across.filled, place(chosen, size).down.filled
        found[: down[0]] = found[down[1] :] = 0
        found[:, : across[0]] = found[:, across[1] :] = 0
        inside = found[row * 8 : row * 8 + 8, column * 8 : column * 8 + 8].sum()
        assert inside > 0.75 * found.sum() > 0


def test_boxes_of_a_centre_crop_lie_in_what_is_seen() -> None:
    boxes = GRID.boxes(place(rule("center_crop"), (640, 480)))
    assert (boxes[0][0].left, boxes[0][0].top, boxes[0][0].right) == (80, 0, 140)
    assert (boxes[7][7].right, boxes[7][7].bottom) == (560, 480)


def test_boxes_of_a_letterbox_end_at_the_image() -> None:
    boxes = GRID.boxes(place(rule("letterbox"), (640, 480)))
    assert [(row[0].top, row[0].bottom) for row in boxes] == [
        *((0, 0), (0, 80), (80, 160), (160, 240)),
        *((240, 320), (320, 400), (400, 480), (480, 480)),
    ]
    assert (boxes[3][0].left, boxes[3][7].right) == (0, 640)


@pytest.mark.parametrize("resize_rule", RULES)
@pytest.mark.parametrize("orientation", [1, 6])
@pytest.mark.parametrize("size", [(1600, 1200), (700, 2100), (3000, 200)])
def test_a_reduced_decode_gives_nearly_the_same_pixels(
    resize_rule: ResizeRule, orientation: int, size: tuple[int, int]
) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    data = encoded(landscape(*size), "JPEG", quality=95, exif=exif)
    reduced = decode(data, rule(resize_rule))
    full = decode(data, rule(resize_rule, draft_factor=0))
    assert (reduced.original_width, reduced.original_height) == (full.original_width, full.original_height)
    assert np.abs(reduced.pixels.astype(int) - full.pixels).mean() < 2


@pytest.mark.parametrize(
    ("resize_rule", "size", "least"),
    [
        ("stretch", (4000, 500), (128, 128)),
        ("center_crop", (4000, 500), (1, 128)),
        ("center_crop", (500, 4000), (128, 1)),
        ("letterbox", (4000, 500), (128, 16)),
    ],
)
def test_what_is_seen_keeps_twice_the_pixels_that_it_fills(
    resize_rule: ResizeRule, size: tuple[int, int], least: tuple[int, int]
) -> None:
    assert draft_size(rule(resize_rule), size) == least
