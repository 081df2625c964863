"""Clients' vectors: what may be one, one by one and many together."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.errors import ServiceError
from service.index.vectors import check_vector, check_vectors, pack

REFUSED: list[object] = [
    *(None, "abc", {}, [], [1], [[1, 2, 3]], [1, "b", 3], [0, 0, 0], [1, math.nan, 0], [1e308] * 3),
    *([True, 1, 2], ["1", "2", "3"], [1, None, 2], [10**400, 1, 2], "123", [math.inf, 1, 2]),
    *(np.zeros(3), np.ones(2), np.ones((3, 1)), np.array([1, 2, 3]), np.array(["1", "2", "3"])),
]


def test_a_vector_is_scaled_to_length_one() -> None:
    assert check_vector([3, 0, -4], 3) == pytest.approx([0.6, 0, -0.8])
    assert np.linalg.norm(check_vector([1e30, 1e30], 2)) == pytest.approx(1)
    for kind in (np.float16, np.float32, np.float64):
        assert check_vector(np.array([3, 0, -4], kind), 3) == pytest.approx([0.6, 0, -0.8], abs=1e-3)


@pytest.mark.parametrize("value", REFUSED)
def test_a_vector_without_direction_or_of_another_length_is_refused(value: object) -> None:
    for given_ in (value, pack(value)):
        with pytest.raises(ServiceError) as refusal:
            check_vector(given_, 3)
        assert (refusal.value.status, refusal.value.code) == (422, "invalid_vector")


numbers = st.one_of(st.integers(-(10**6), 10**6), st.floats(width=32))
vectors = st.one_of(st.lists(numbers, min_size=3, max_size=3), st.sampled_from(REFUSED))


@given(st.lists(vectors, max_size=8))
def test_many_together_are_checked_as_each_by_itself(values: list[object]) -> None:
    together = check_vectors([pack(value) for value in values], 3)
    for value, checked in zip(values, together, strict=True):
        try:
            alone = check_vector(value, 3)
        except ServiceError as error:
            assert isinstance(checked, ServiceError)
            assert str(checked) == str(error)
        else:
            assert isinstance(checked, np.ndarray)
            assert checked.dtype == np.float32
            np.testing.assert_allclose(checked, alone, rtol=1e-6)
