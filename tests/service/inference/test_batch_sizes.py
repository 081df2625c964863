"""Sizes of batches."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.inference.batch_sizes import EFFICIENT_BATCH, batch_size, bucket_for, bucket_sizes, largest_batch


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


@given(most=st.integers(1, 4096), macs=st.integers(0, 10**12))
def test_a_batch_on_a_gpu_is_as_large_as_the_settings_allow(most: int, macs: int) -> None:
    assert largest_batch(most, macs, on_gpu=True) == most


@given(most=st.integers(1, 4096), macs=st.integers(0, 10**12), more=st.integers(0, 10**12))
def test_a_costlier_model_never_gets_a_larger_batch_on_a_cpu(most: int, macs: int, more: int) -> None:
    size = largest_batch(most, macs, on_gpu=False)
    assert min(most, EFFICIENT_BATCH) <= size <= most
    assert macs == 0 or largest_batch(most, macs + more, on_gpu=False) <= size


def test_small_encoders_fill_their_batches_and_those_of_photographs_stay_short() -> None:
    assert largest_batch(64, 76_873_728, on_gpu=False) == 64
    assert largest_batch(64, 390_000_000, on_gpu=False) == 16
    assert largest_batch(64, 636_687_072, on_gpu=False) == 8
    assert largest_batch(12, 390_000_000, on_gpu=False) == 12
