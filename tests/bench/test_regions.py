"""Benchmark of regions: parts lie where it says, in items and queries, and are cut from nothing else."""

from io import BytesIO

import numpy as np
import pytest
from PIL import Image

from bench.regions.planted import Planted, overlap, square
from tests.pictures import encoded, landscape

SIDE = 64


def test_parts_lie_where_the_query_says() -> None:
    planted = Planted([landscape(SIDE, SIDE, seed) for seed in range(12)], 27, 3, scale=0.75)
    items = [np.asarray(Image.open(BytesIO(data)), np.float32) for data in planted.items()]
    assert len(items) == 27
    queries = list(planted.queries())
    assert [query.item for query in queries] == [0, 1, 2]
    for query in queries:
        part = Image.open(BytesIO(query.crop))
        picture = np.asarray(Image.open(BytesIO(query.picture)), np.float32)
        for pixels, (left, top, width, height) in (
            (items[query.item], query.place),
            (picture, query.region),
        ):
            left, top, width, height = map(int, (left, top, width, height))
            here = pixels[top : top + height, left : left + width]
            expected = np.asarray(part.resize((width, height), Image.Resampling.BICUBIC), np.float32)
            assert np.abs(here - expected).mean() < 20
    assert queries[0].region[2:] == (24, 24)


def test_items_are_all_different_and_too_few_photographs_are_refused() -> None:
    photographs = [landscape(SIDE, SIDE, seed) for seed in range(10)]
    items = list(Planted(photographs, 11, 3).items())
    assert len(set(items)) == 11
    with pytest.raises(ValueError, match="10 photographs make at most 11 items"):
        Planted(photographs, 12, 3)


def test_overlap_is_intersection_over_union() -> None:
    assert overlap((0, 0, 2, 2), (0, 0, 2, 2)) == 1
    assert overlap((0, 0, 2, 2), (1, 0, 2, 2)) == pytest.approx(1 / 3)
    assert overlap((0, 0, 1, 1), (2, 2, 1, 1)) == 0


def test_the_middle_of_a_photograph_is_taken() -> None:
    wide = Image.new("RGB", (90, 30), (255, 0, 0))
    wide.paste((0, 0, 255), (30, 0, 60, 30))
    assert np.asarray(square(encoded(wide), 10))[:, 1:-1].reshape(-1, 3).mean(axis=0).tolist() == [0, 0, 255]
