"""Choices for own images: laws of what may grow when time, machine and images do."""

import pytest

from training.errors import TrainingError
from training.planning import choices, own_recipe
from training.planning.choices import Cost
from training.planning.own_recipe import Given
from training.recipe import Recipe

COUNTS = (4, 20, 99, 100, 300, 3_000, 30_000, 1_000_000)


@pytest.mark.parametrize(
    ("side", "sizes"),
    [
        (8, (32,)),
        (32, (32,)),
        (63, (32,)),
        (64, (64,)),
        (100, (64, 96)),
        (128, (64, 96, 128)),
        (4000, (64, 96, 128)),
    ],
)
def test_sizes_that_images_fill(side: int, sizes: tuple[int, ...]) -> None:
    assert choices.sizes_for(side) == sizes


def test_a_tenth_of_ten_times_as_many_images_needs_a_third_of_the_epochs() -> None:
    assert choices.full_epochs(3_000) == 200
    assert choices.full_epochs(30_000) == pytest.approx(200 / 3, abs=4)
    epochs = [choices.full_epochs(count) for count in COUNTS]
    assert epochs == sorted(epochs, reverse=True)
    assert (epochs[0], epochs[-1]) == (600, 20)


@pytest.mark.parametrize("count", COUNTS)
def test_what_is_set_aside_and_trained_on_suffices_for_an_export(count: int) -> None:
    recipe = own_recipe.recipe_for(64, count, Given())
    apart = choices.count_to_set_aside(count)
    assert apart <= min(2_000, count / 5)
    assert round(recipe.held_out_share * count) == apart
    seen = count - apart
    fitted = seen - round(recipe.validation_share * seen)
    assert 2 <= recipe.batch_size <= min(128, fitted)
    if count >= 100:
        assert apart >= 16 + 4
        assert fitted >= 64
    if fitted >= 64:
        assert fitted // recipe.batch_size >= 4


def test_more_images_never_have_less_set_aside() -> None:
    numbers = [choices.count_to_set_aside(count) for count in range(5_000)]
    assert numbers == sorted(numbers)


def chosen(seconds: float, speed: float = 1.0, count: int = 3_000) -> Recipe:
    """The recipe for so many seconds of training, on a machine that is so many times as quick."""

    def measure(recipe: Recipe, _: int) -> Cost:
        return Cost(0.05 * (recipe.input_size / 32) ** 1.5 / speed, 0.2 / speed)

    given = Given(stop_at=seconds, report=False)
    left = given.seconds_for_training(count, 0.0)
    drafted = own_recipe.choose_size((64, 96, 128), 200, count, given, left, measure)
    return own_recipe.complete(drafted, count, given, 0.0).recipe


@pytest.mark.parametrize("count", [300, 3_000, 30_000])
def test_more_time_and_a_quicker_machine_never_make_a_choice_smaller(count: int) -> None:
    by_time = [chosen(seconds, count=count) for seconds in (0, 10, 60, 300, 1_000, 3_000, 6_000, 10_000)]
    by_speed = [chosen(600, speed, count) for speed in (0.01, 0.1, 0.5, 1, 2, 4, 10, 100)]
    for recipes in (by_time, by_speed):
        grown = [(recipe.input_size, recipe.epochs) for recipe in recipes]
        assert grown == sorted(grown)
        assert grown[0][0] == 64
        assert grown[-1] == (128, choices.full_epochs(count - choices.count_to_set_aside(count)))


@pytest.mark.parametrize("seconds", [1, 30, 300, 3_000, 30_000])
def test_what_is_chosen_takes_no_more_than_the_time(seconds: float) -> None:
    recipe = chosen(seconds)
    steps = (3_000 - 300) * 9 // 10 // recipe.batch_size
    cost = Cost(0.05 * (recipe.input_size / 32) ** 1.5, 0.2)
    assert recipe.epochs == 1 or cost.seconds(recipe.epochs, steps) <= seconds


def test_report_and_export_keep_their_share_of_the_time() -> None:
    left = [
        Given(stop_at=600, report=report, export=export).seconds_for_training(3_000, 0)
        for report, export in ((True, True), (True, False), (False, False))
    ]
    assert left == sorted(left, key=lambda seconds: seconds or 0)
    assert Given().seconds_for_training(3_000, 0) is None
    assert Given(stop_at=1).seconds_for_training(3_000, 0) == 0


def test_each_choice_is_said_with_its_reason() -> None:
    def measure(recipe: Recipe, _: int) -> Cost:
        return Cost(0.1 if recipe.input_size == 64 else 10.0, 0.0)

    given = Given(stop_at=600, report=False)
    drafted = own_recipe.choose_size((64, 96), 100, 3_000, given, 510, measure)
    assert drafted.sentences == (
        "64 x 64 pixels, encoder coarse64: 211 epochs at 96 x 96 would take 633.0 minutes, and 8.5 are left "
        "for training.",
    )
    epochs, batches, apart = own_recipe.complete(drafted, 3_000, given, 0.0).sentences
    assert "as many as" in epochs
    assert batches == "Batches of 128 images: 18 of them in an epoch."
    assert apart == "300 of 3,000 images are set aside for the figures of an export. 270 others validate."


def test_what_the_command_line_names_is_not_chosen() -> None:
    given = Given(size=96, epochs=3, batch_size=50, stop_at=10_000)
    drafted = own_recipe.choose_size((96,), 40, 300, given, 1_000, lambda *_: Cost(0.1, 0.1))
    completed = own_recipe.complete(drafted, 300, given, 0.0)
    recipe = completed.recipe
    assert (recipe.input_size, recipe.epochs, recipe.batch_size) == (96, 3, 50)
    said = " ".join([*drafted.sentences, *completed.sentences])
    assert all(option in said for option in ("--size", "--epochs", "--batch-size"))
    with pytest.raises(TrainingError, match="--batch-size is 500"):
        own_recipe.recipe_for(64, 300, Given(batch_size=500))
