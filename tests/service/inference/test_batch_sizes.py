"""Sizes of batches."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.inference.batch_sizes import EFFICIENT_BATCH, bucket_for, bucket_sizes, largest_batch


@pytest.mark.parametrize(
    ("largest", "sizes"),
    [(1, (1,)), (2, (1, 2)), (64, (1, 2, 4, 8, 16, 32, 64)), (48, (1, 2, 4, 8, 16, 32, 48))],
)
def test_buckets_are_powers_of_two_and_the_largest_batch(largest: int, sizes: tuple[int, ...]) -> None:
    assert bucket_sizes(largest) == sizes


@given(images=st.integers(1, 200), more=st.integers(0, 200))
def test_images_are_padded_to_the_next_size_and_to_no_larger_one(images: int, more: int) -> None:
    buckets = bucket_sizes(images + more)
    bucket = bucket_for(images, buckets)
    assert images <= bucket < 2 * images or bucket == 1


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
