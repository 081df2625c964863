"""The recipe that `infomax train` makes where none is named, and why it is so.

In two parts. Size and encoder are chosen before the images are decoded, since that takes their size; epochs
and batch follow once it is known how many images and how much time are left.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass

from contract.counts import counted
from training.data import Source
from training.data.set_aside import count_fitted_and_validation, count_seen
from training.loop.execution import Execution
from training.loop.small_sets import fit_to_images
from training.planning import choices
from training.planning.choices import Cost
from training.planning.machine_cost import measure_cost
from training.planning.survey import survey
from training.recipe import Recipe
from training.recipe_file import load_recipe
from training.shipped_recipes import recipe_file

# Recipe that is adapted, and name of the outcome.
_BASE, NAME = "own_images_64", "own_images"
# Of the time that is left, for what the measured steps do not show: a busier machine above all.
_MARGIN = 0.15
# What report and export take on two cores, in seconds and seconds for an image.
_REPORT, _EXPORT = (15.0, 0.015), (30.0, 0.03)
_MOST_COUNTED = 5_000

Measure = Callable[[Recipe, int], Cost]


@dataclass(frozen=True)
class Given:
    """What is not chosen, since the command line names it; None is left open.

    Attributes:
        size: height and width in pixels.
        epochs, batch_size: instead of chosen ones.
        stop_at: time on the monotonic clock when all has to be done.
        report, export: whether these follow the training.
    """

    size: int | None = None
    epochs: int | None = None
    batch_size: int | None = None
    stop_at: float | None = None
    report: bool = True
    export: bool = False

    def seconds_for_training(self, count: int, now: float) -> float | None:
        """Compute what is left of the time at `now`, less a margin, for `count` images."""
        if self.stop_at is None:
            return None
        counted = min(count, _MOST_COUNTED)
        kept = sum(
            fixed + each * counted
            for asked, (fixed, each) in ((self.report, _REPORT), (self.export, _EXPORT))
            if asked
        )
        return max(0.0, (1 - _MARGIN) * (self.stop_at - now - kept))


@dataclass(frozen=True)
class Draft:
    """A recipe whose size is chosen, for images that are not decoded yet.

    Attributes:
        recipe: complete, as if every image could be read.
        cost: of training by it; None where no time was given.
        sentences: what was chosen and why.
    """

    recipe: Recipe
    cost: Cost | None
    sentences: tuple[str, ...]


def draft(source: Source, given: Given, execution: Execution) -> Draft:
    """Choose size and encoder for images that are still to be decoded.

    Raises:
        DataError: none of a sample can be read, or there are too few.
    """
    found = survey(source, 0)

    def measure(recipe: Recipe, count: int) -> Cost:
        fitted, validation = count_fitted_and_validation(count, recipe)
        return measure_cost(recipe, fitted, validation, labels=source.labels is not None, execution=execution)

    sizes = choices.sizes_for(found.side) if given.size is None else (given.size,)
    seconds = given.seconds_for_training(found.count, time.monotonic())
    if seconds is not None:
        seconds = max(0.0, seconds - found.decoding_seconds)
    return choose_size(sizes, found.side, found.count, given, seconds, measure)


def choose_size(
    sizes: tuple[int, ...], side: int, count: int, given: Given, seconds: float | None, measure: Measure
) -> Draft:
    """Take the largest of the sizes, or of those whose full training fits into the seconds.

    Args:
        sizes: ascending.
        side: median shorter side of the images in pixels.
        count: of the images.
        given: what is not chosen.
        seconds: for training; None where there is no limit.
        measure: what training by a recipe costs for so many images.
    """
    costs: dict[int, Cost] = {}

    def seconds_of(size: int) -> float:
        recipe = recipe_for(size, count, given)
        costs[size] = measure(recipe, count)
        return costs[size].seconds(recipe.epochs, _steps(recipe, count))

    size, measured = sizes[-1], dict[int, float]()
    if seconds is not None:
        size, measured = choices.largest_that_fits(sizes, seconds, seconds_of)
    recipe = recipe_for(size, count, given)
    encoder = f"{size} x {size} pixels, encoder {recipe.encoder.name}"
    if given.size is not None:
        why = "as --size asks"
    elif seconds is None or (size == sizes[-1] and measured[size] <= seconds):
        why = f"the largest size that the images fill, whose shorter sides have a median of {side} pixels"
    elif measured[size] <= seconds:
        larger = min(each for each in measured if each > size)
        why = (
            f"{recipe.epochs} epochs at {larger} x {larger} would take {measured[larger] / 60:.1f} minutes, "
            f"and {seconds / 60:.1f} are left for training"
        )
    else:
        why = f"the smallest that suits images of {side} pixels, since the time is short"
    return Draft(recipe, costs.get(size), (f"{encoder}: {why}.",))


def complete(drafted: Draft, count: int, given: Given, now: float) -> Draft:
    """Choose the rest, for the `count` images that could be decoded.

    Args:
        drafted: by `draft`.
        count: of images.
        given: what is not chosen.
        now: time on the monotonic clock.
    """
    recipe = recipe_for(drafted.recipe.input_size, count, given)
    full, steps = recipe.epochs, _steps(recipe, count)
    seconds = given.seconds_for_training(count, now)
    if given.epochs is None and seconds is not None and drafted.cost is not None:
        epochs = choices.epochs_that_fit(full, steps, drafted.cost, seconds)
        recipe = recipe.model_copy(update={"epochs": epochs})
    fitted, validation = count_fitted_and_validation(count, recipe)
    return Draft(
        recipe,
        drafted.cost,
        (
            _epochs_sentence(recipe, full, steps, fitted, seconds, given, drafted.cost),
            f"Batches of {recipe.batch_size} images: "
            + ("as --batch-size asks." if given.batch_size else f"{steps} of them in an epoch."),
            set_aside_sentence(recipe, count) + f" {validation} others validate.",
        ),
    )


def set_aside_sentence(recipe: Recipe, count: int) -> str:
    """Say how many images the recipe sets aside, or why none."""
    if not recipe.held_out_share:
        return (
            f"None of {count:,} images is set aside for the figures of an export: that takes "
            f"{choices.FEWEST_TO_SET_ASIDE} images."
        )
    apart = count - count_seen(count, recipe)
    return f"{apart:,} of {count:,} images are set aside for the figures of an export."


def held_out_share(count: int) -> float:
    """Choose the share to set aside of so many images."""
    return choices.count_to_set_aside(count) / max(1, count)


def recipe_for(size: int, count: int, given: Given) -> Recipe:
    """Make the recipe of a size for `count` images, with all the epochs that they need.

    Raises:
        InfomaxError: there are too few images, or the batch is too large for them.
    """
    base = load_recipe(recipe_file(_BASE))
    recipe = base.model_copy(
        update={
            "name": NAME,
            "input_size": size,
            "encoder": base.encoder.model_copy(update={"name": choices.ENCODERS[size]}),
            "held_out_share": held_out_share(count),
        }
    )
    seen = count_seen(count, recipe)
    recipe = recipe.model_copy(update={"epochs": given.epochs or choices.full_epochs(seen)})
    # A larger share validates where there are few; what is left to fit decides on the batch.
    few = fit_to_images(recipe, count, 1)
    fitted, _ = count_fitted_and_validation(count, few)
    batch = given.batch_size or min(few.batch_size, choices.batch_size(fitted))
    return fit_to_images(
        few.model_copy(update={"batch_size": batch}),
        count,
        1,
        batch_size_given=given.batch_size is not None,
    )


def _steps(recipe: Recipe, count: int) -> int:
    return count_fitted_and_validation(count, recipe)[0] // recipe.batch_size


def _epochs_sentence(
    recipe: Recipe, full: int, steps: int, fitted: int, seconds: float | None, given: Given, cost: Cost | None
) -> str:
    length = f"{counted(recipe.epochs, 'epoch')}, {counted(recipe.epochs * steps, 'step')}"
    if given.epochs is not None:
        return f"{length}: as --epochs asks."
    if recipe.epochs < full and seconds is not None:
        left = f"{seconds / 60:.1f} minutes left for training"
        return f"{length}, of {full} epochs: as many as fit into the {left}."
    expected = "" if cost is None else f", about {cost.seconds(recipe.epochs, steps) / 60:.1f} minutes"
    return f"{length}: as many as {fitted:,} images need{expected}."
