"""Maps as pictures, looked at by program."""

import gc
from io import BytesIO

import numpy as np
import pytest
from matplotlib import colormaps
from numpy.typing import NDArray
from PIL import Image

from contract.patches import PatchGrid
from service.outputs.heat_map import OVERLAY_BOX, Picture, Sheet
from tests.pictures import landscape

GRID = PatchGrid(rows=4, columns=4, stride=8, receptive_field=8, first_centre=4)
WHITE = Image.new("RGB", (32, 32), "white")


def drawn(mi_map: NDArray[np.float32], image: Image.Image = WHITE) -> NDArray[np.int64]:
    """Pixels of the picture: int64 [height, width, 3]."""
    png = Sheet().draw(Picture(image, mi_map.astype(np.float32), GRID, (32, 32), "nats"))
    return np.asarray(Image.open(BytesIO(png)).convert("RGB")).astype(np.int64)


def overlay(pixels: NDArray[np.int64]) -> NDArray[np.int64]:
    """The inside of the right panel, for a square image: the largest square in the middle of its box."""
    height, width, _ = pixels.shape
    left, bottom, across, up = OVERLAY_BOX
    side = min(across * width, up * height)
    x, y = (left + across / 2) * width, (1 - bottom - up / 2) * height
    inset = side / 2 - 2
    return pixels[round(y - inset) : round(y + inset), round(x - inset) : round(x + inset)]


def colour(value: float, reach: float) -> NDArray[np.float64]:
    """What a value looks like over white."""
    solid = np.asarray(colormaps["RdBu_r"]((value / reach + 1) / 2)[:3])
    return 255 * (0.6 * solid + 0.4)


def pictures() -> list[Picture]:
    """All that can differ between pictures: sizes, proportions, ranges, grids, labels."""
    few = np.linspace(-1, 3, 16, dtype=np.float32).reshape(4, 4)
    many = PatchGrid(rows=40, columns=40, stride=1, receptive_field=8, first_centre=1)
    return [
        Picture(landscape(48, 32), few, GRID, (32, 32), "nats"),
        Picture(landscape(1600, 1200), 1000 * few, GRID, (32, 32), "nats"),
        Picture(landscape(9, 900), 0 * few, GRID, (32, 32), "of a reference"),
        Picture(landscape(64, 64), np.ones((40, 40), np.float32), many, (48, 48), "nats"),
    ]


def test_a_picture_is_the_same_whatever_was_drawn_before() -> None:
    alone = [Sheet().draw(picture) for picture in pictures()]
    sheet = Sheet()
    assert [sheet.draw(picture) for picture in pictures()] == alone
    assert [sheet.draw(picture) for picture in reversed(pictures())] == alone[::-1]


def test_a_picture_leaves_nothing_to_the_cycle_collector() -> None:
    sheet = Sheet()
    for picture in pictures():
        sheet.draw(picture)
    gc.collect()
    for picture in pictures():
        sheet.draw(picture)
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


@pytest.mark.parametrize("size", [(1, 1), (32, 32), (1, 4000), (4000, 1), (2000, 1500), (321, 100)])
def test_any_size_of_original_gives_a_readable_picture(size: tuple[int, int]) -> None:
    slope = (np.add.outer(np.arange(4), np.arange(4)) / 3 - 1).astype(np.float32)
    pixels = drawn(slope, Image.new("RGB", size, "white"))
    height, width, _ = pixels.shape
    assert (height, width) == (484, 1056)
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
