"""Sizes of batches."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.inference.batching import batch_size, bucket_for, bucket_sizes


@pytest.mark.parametrize(
    ("largest", "sizes"),
    [(1, (1,)), (2, (1, 2)), (64, (1, 2, 4, 8, 16, 32, 64)), (48, (1, 2, 4, 8, 16, 32, 48))],
)
def test_buckets_are_powers_of_two_and_the_largest_batch(largest: int, sizes: tuple[int, ...]) -> None:
    assert bucket_sizes(largest) == sizes


@given(waiting=st.integers(1, 1000), largest=st.integers(1, 200), most_padding=st.floats(0, 1))
def test_a_batch_fits_a_bucket_with_no_more_padding_than_allowed(
    waiting: int, largest: int, most_padding: float
) -> None:
    buckets = bucket_sizes(largest)
    size = batch_size(waiting, buckets, most_padding)
    bucket = bucket_for(size, buckets)
    assert 1 <= size <= min(waiting, largest)
    assert (bucket - size) / bucket <= most_padding


def test_where_padding_costs_nothing_everything_that_fits_is_taken() -> None:
    assert batch_size(33, bucket_sizes(64), 1.0) == 33


def test_where_padding_costs_as_much_as_an_image_a_batch_leaves_one_behind() -> None:
    assert batch_size(33, bucket_sizes(64), 0.25) == 32
    assert batch_size(50, bucket_sizes(64), 0.25) == 50
