"""A recipe for fewer images than it was written for: a smaller batch, a larger share held out."""

from collections.abc import Iterator

from training.data.image_set import split_rows
from training.data.set_aside import count_seen
from training.errors import DataError, TrainingError
from training.recipe import Recipe

# One to validate with, and three that give a batch of two.
FEWEST_IMAGES = 4
# Held out at least, where that is not too large a part of the images.
_HELD_OUT, _LARGEST_PART = 8, 3


def fit_to_images(recipe: Recipe, count: int, ranks: int, *, batch_size_given: bool = False) -> Recipe:
    """Lower the batch size and raise the validation share, where `count` images need it.

    The result is a function of the arguments, so a resumed run comes to the same recipe.

    Args:
        recipe: as it was read.
        count: of all images.
        ranks: processes that share a batch.
        batch_size_given: the user has named the batch size, which is then not changed.

    Raises:
        DataError: there are too few images for any recipe.
        TrainingError: the batch size that the user has named is larger than the training images.
    """
    fewest = max(FEWEST_IMAGES, _LARGEST_PART * ranks)
    seen = count_seen(count, recipe)
    if seen < fewest:
        raise DataError(
            f"There are too few images: {seen}. Training needs at least {fewest}, and some thousands for an "
            "encoder that is of use."
        )
    share = _validation_share(recipe.validation_share, seen)
    training = len(split_rows(seen, share, recipe.seed)[1])
    batch_size = recipe.batch_size
    if training < batch_size:
        if batch_size_given:
            raise TrainingError(
                f"--batch-size is {batch_size}, and only {training} of the {count} images are trained on. "
                f"Set --batch-size to {training} at most, or use more images."
            )
        batch_size = _batch_size(training, ranks)
    if (share, batch_size) == (recipe.validation_share, recipe.batch_size):
        return recipe
    return recipe.model_copy(update={"validation_share": share, "batch_size": batch_size})


def changes(before: Recipe, after: Recipe, count: int) -> Iterator[str]:
    """Say what was changed, in one sentence each."""
    if after.batch_size != before.batch_size:
        yield f"batch_size is {after.batch_size} in place of {before.batch_size}, for {count} images"
    if after.validation_share != before.validation_share:
        seen = count_seen(count, after)
        held_out = round(after.validation_share * seen)
        share = f"{before.validation_share:.0%}"
        yield f"{held_out} of {seen} images are held out, more than the recipe's {share}"


def _validation_share(share: float, count: int) -> float:
    wanted = max(1, min(_HELD_OUT, count // _LARGEST_PART))
    return share if round(share * count) >= wanted else wanted / count


def _batch_size(training: int, ranks: int) -> int:
    """Choose the largest power of two that two batches of fit into an epoch, shared evenly by the ranks."""
    size = 1 << max(1, (training // 2).bit_length() - 1)
    size = min(size, training)
    return max(2 * ranks if ranks > 1 else 2, size - size % ranks)
