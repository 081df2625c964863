"""Round numbers along an axis."""

from hypothesis import given
from hypothesis import strategies as st

from service.outputs.ticks import label, ticks


def test_ticks_are_the_numbers_that_a_person_would_write() -> None:
    assert ticks(0, 1600, 9) == [0, 200, 400, 600, 800, 1000, 1200, 1400, 1600]
    assert ticks(0, 32, 7) == [0, 5, 10, 15, 20, 25, 30]
    assert ticks(-2.33, 2.33, 6) == [-2, -1, 0, 1, 2]
    assert ticks(0, 1, 9, least_step=1) == [0, 1]
    assert list(map(label, ticks(-0.01, 0.01, 6))) == ["-0.01", "-0.005", "0", "0.005", "0.01"]


@given(st.floats(1e-3, 1e9), st.floats(0, 1), st.integers(1, 20))
def test_ticks_lie_within_the_range_and_are_not_too_many(reach: float, share: float, most: int) -> None:
    found = ticks(-share * reach, reach, most)
    assert all(-share * reach * (1 + 1e-6) <= value <= reach * (1 + 1e-6) for value in found)
    assert len(found) <= most + 1
    assert 0 in found
    assert len(set(map(label, found))) == len(found)
