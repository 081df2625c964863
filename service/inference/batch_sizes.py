"""Sizes of batches: the largest one that pays, and those that are warmed up and, on a GPU, padded to."""

from collections.abc import Sequence

# Minimum efficient batch. Smaller ones cost much more for each image: alone it takes 1.6 times as long as in
# a batch of eight, and there 1.2 times as long as in one of 64 (docs/decisions/019).
EFFICIENT_BATCH = 8
# Multiply-accumulates of a batch on a CPU, some fifth of a second of one core. A larger one is no cheaper for
# each image, and what arrives meanwhile waits for all of it (docs/decisions/035).
_CPU_BATCH_MACS = 8_000_000_000


def largest_batch(most: int, encoder_macs: int, *, on_gpu: bool) -> int:
    """Choose the most images of a batch: `most`, or fewer of a costly encoder on a CPU.

    Args:
        most: the limit of the settings.
        encoder_macs: multiply-accumulates of the encoder for one image.
        on_gpu: whether the model runs on a GPU, which large batches keep busy.
    """
    if on_gpu or not encoder_macs:
        return most
    affordable = max(_CPU_BATCH_MACS // encoder_macs, EFFICIENT_BATCH)
    return most if most <= affordable else 2 ** (affordable.bit_length() - 1)


def bucket_sizes(largest: int) -> tuple[int, ...]:
    """List the sizes that are warmed up: powers of two up to `largest`, and `largest`.

    A GPU chooses kernels for each size and records graphs of it, so batches are padded to these few. An empty
    place costs it nothing. On a CPU it costs as much as an image, and any size runs as fast.
    """
    powers = [2**power for power in range(largest.bit_length()) if 2**power < largest]
    return (*powers, largest)


def bucket_for(images: int, buckets: Sequence[int]) -> int:
    """Find the smallest bucket that holds so many images."""
    return next(bucket for bucket in buckets if bucket >= images)
