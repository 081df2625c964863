"""Maps as pictures, looked at by program."""

import gc
from io import BytesIO

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from contract.patches import PatchGrid
from contract.placement import Placement, place
from contract.preprocessing import Preprocessing, ResizeRule
from service.outputs.heat_map import OVERLAY_BOX, SIZE, Picture, draw_heat_map
from tests.pictures import landscape

GRID = PatchGrid(rows=4, columns=4, stride=8, receptive_field=8, first_centre=4)
WHITE = Image.new("RGB", (32, 32), "white")


def stretched(image: Image.Image, side: int = 32) -> Placement:
    return place(Preprocessing(height=side, width=side), image.size)


def drawn(mi_map: NDArray[np.float32], image: Image.Image = WHITE) -> NDArray[np.int64]:
    """Pixels of the picture: int64 [height, width, 3]."""
    png = draw_heat_map(Picture(image, mi_map.astype(np.float32), GRID, stretched(image), "nats"))
    return np.asarray(Image.open(BytesIO(png)).convert("RGB")).astype(np.int64)


def overlay(pixels: NDArray[np.int64], shape: float = 1) -> NDArray[np.int64]:
    """The inside of the right panel, for an image of this height by width: what fits in its box."""
    height, width, _ = pixels.shape
    left, top, end, bottom = OVERLAY_BOX
    side = min((end - left) * width, (bottom - top) * height / shape)
    x, y = (left + end) / 2 * width, (top + bottom) / 2 * height
    right, below = side / 2 - 2, side / 2 * shape - 2
    return pixels[round(y - below) : round(y + below), round(x - right) : round(x + right)]


def colour(value: float, reach: float) -> NDArray[np.float64]:
    """Return what -reach, zero or reach looks like over white."""
    solid = np.array({-1: (5, 48, 97), 0: (247, 247, 247), 1: (103, 0, 31)}[round(value / reach)])
    return 0.6 * solid + 0.4 * 255


def picture(
    image: Image.Image, mi_map: NDArray[np.float32], grid: PatchGrid, side: int, label: str
) -> Picture:
    return Picture(image, mi_map, grid, stretched(image, side), label)


def pictures() -> list[Picture]:
    """All that can differ between pictures: sizes, proportions, ranges, grids, labels."""
    few = np.linspace(-1, 3, 16, dtype=np.float32).reshape(4, 4)
    many = PatchGrid(rows=40, columns=40, stride=1, receptive_field=8, first_centre=1)
    return [
        picture(landscape(48, 32), few, GRID, 32, "nats"),
        picture(landscape(1600, 1200), 1000 * few, GRID, 32, "nats"),
        picture(landscape(9, 900), 0 * few, GRID, 32, "of a reference"),
        picture(landscape(64, 64), np.ones((40, 40), np.float32), many, 48, "nats"),
    ]


def test_equal_pictures_are_equal_bytes() -> None:
    first = list(map(draw_heat_map, pictures()))
    assert list(map(draw_heat_map, reversed(pictures()))) == first[::-1]


def test_a_picture_leaves_nothing_to_the_cycle_collector() -> None:
    list(map(draw_heat_map, pictures()))
    gc.collect()
    list(map(draw_heat_map, pictures()))
    assert gc.collect() == 0


def test_red_is_above_zero_and_blue_below_and_white_is_zero() -> None:
    mi_map = np.zeros((4, 4), np.float32)
    mi_map[:, :2], mi_map[:, 2:] = 2, -2
    panel = overlay(drawn(mi_map))
    height, width, _ = panel.shape
    row = panel[height // 4 + 3]
    np.testing.assert_allclose(row[5], colour(2, 2), atol=6)
    np.testing.assert_allclose(row[-5], colour(-2, 2), atol=6)
    np.testing.assert_allclose(row[width // 2], colour(0, 2), atol=25)


def test_zero_is_white_however_lopsided_the_map() -> None:
    mi_map = np.zeros((4, 4), np.float32)
    mi_map[0, 0] = 5
    panel = overlay(drawn(mi_map))
    np.testing.assert_allclose(panel[-5, -5], colour(0, 5), atol=6)


def test_the_scale_is_in_both_directions_the_largest_value() -> None:
    lopsided = np.zeros((4, 4), np.float32)
    lopsided[3, 3] = -4
    panel = overlay(drawn(lopsided))
    np.testing.assert_allclose(panel[-5, -5], colour(-4, 4), atol=6)


def test_patches_lie_where_they_are() -> None:
    mi_map = np.zeros((4, 4), np.float32)
    mi_map[1, 2] = 3
    panel = overlay(drawn(mi_map))
    redness = (panel[:, :, 0] - panel[:, :, 2]).clip(10) - 10
    down, across = (np.indices(redness.shape) * redness).sum(axis=(1, 2)) / redness.sum() / len(panel)
    # Patch (1, 2) is centred at pixel (12, 20) of 32.
    np.testing.assert_allclose((down, across), (12 / 32, 20 / 32), atol=0.02)


@pytest.mark.parametrize(
    ("resize_rule", "centre"),
    # Patch (1, 2) is centred at (20, 12) of 32: of the middle 48 x 48, and of 64 x 64 with 8 above.
    [("stretch", (20 / 32, 12 / 32)), ("center_crop", (38 / 64, 18 / 48)), ("letterbox", (40 / 64, 16 / 48))],
)
def test_patches_lie_where_the_resize_rule_puts_them(
    resize_rule: ResizeRule, centre: tuple[float, float]
) -> None:
    mi_map = np.zeros((4, 4), np.float32)
    mi_map[1, 2] = 3
    image = Image.new("RGB", (64, 48), "white")
    placement = place(Preprocessing(height=32, width=32, resize_rule=resize_rule), image.size)
    png = draw_heat_map(Picture(image, mi_map, GRID, placement, "nats"))
    panel = overlay(np.asarray(Image.open(BytesIO(png)).convert("RGB")).astype(np.int64), 48 / 64)
    redness = (panel[:, :, 0] - panel[:, :, 2]).clip(10) - 10
    height, width = redness.shape
    down, across = (np.indices(redness.shape) * redness).sum(axis=(1, 2)) / redness.sum()
    np.testing.assert_allclose((across / width, down / height), centre, atol=0.02)


def test_what_is_not_seen_has_no_colour() -> None:
    image = Image.new("RGB", (64, 32), "white")
    placement = place(Preprocessing(height=32, width=32, resize_rule="center_crop"), image.size)
    png = draw_heat_map(Picture(image, np.full((4, 4), 2, np.float32), GRID, placement, "nats"))
    panel = overlay(np.asarray(Image.open(BytesIO(png)).convert("RGB")).astype(np.int64), 32 / 64)
    height, width, _ = panel.shape
    line = panel[height // 2]
    np.testing.assert_allclose(line[width // 2 + 2], colour(2, 2), atol=6)
    for unseen in (line[2 : width // 4 - 4], line[width - width // 4 + 4 : -2]):
        assert (unseen == 255).all()


@pytest.mark.parametrize("size", [(1, 1), (32, 32), (1, 4000), (4000, 1), (2000, 1500), (321, 100)])
def test_any_size_of_original_gives_a_readable_picture(size: tuple[int, int]) -> None:
    slope = (np.add.outer(np.arange(4), np.arange(4)) / 3 - 1).astype(np.float32)
    pixels = drawn(slope, Image.new("RGB", size, "white"))
    height, width, _ = pixels.shape
    assert (width, height) == SIZE
    middle = overlay(pixels)
    half = len(middle) // 2
    # Blue, then red: along the longer side, which fills the panel, or both.
    line = middle[half] if size[0] >= size[1] else middle[:, half]
    balance = line[:, 0] - line[:, 2]
    assert balance[10] < -10
    assert balance[-10] > 10


def test_a_map_of_zeros_is_drawn() -> None:
    panel = overlay(drawn(np.zeros((4, 4), np.float32)))
    np.testing.assert_allclose(panel[5, 5], colour(0, 1), atol=6)
