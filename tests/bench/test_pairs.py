"""Comparison of two checkouts by pairs."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.serving.pairs import difference

TIMES = st.lists(st.integers(500, 2000).map(float), min_size=2, max_size=50)


@given(drift=TIMES, change=st.integers(-100, 100))
def test_what_both_have_in_common_is_not_part_of_the_difference(drift: list[float], change: int) -> None:
    assert difference(drift, [one + change for one in drift]) == (change, 0.0)


@given(before=TIMES)
def test_the_difference_of_the_other_way_round_is_the_opposite(before: list[float]) -> None:
    after = [one * 0.9 for one in before]
    (middle, error), (back, other_error) = difference(before, after), difference(after, before)
    assert back == pytest.approx(-middle)
    assert other_error == pytest.approx(error)


def test_one_wild_pair_moves_neither_the_difference_nor_its_error() -> None:
    before, after = [1000.0] * 20, [900.0, 920.0] * 10
    calm = difference(before, after)
    wild = difference(before, [*after[:-1], 9000.0])
    assert wild[0] == pytest.approx(calm[0], abs=10)
    assert wild[1] == pytest.approx(calm[1], rel=0.01)
