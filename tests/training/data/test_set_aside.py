"""Images that are set aside: drawn by number and seed alone, and without influence on what is trained."""

import tomllib
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest
import torch

from tests.training.command import RECIPE
from tests.training.measured import images, noise
from training.data import ImageSet, set_aside
from training.errors import DataError
from training.loop import checkpoint
from training.loop.small_sets import fit_to_images
from training.loop.trained import load_run
from training.loop.trainer import check_batches, train
from training.recipe import Recipe
from training.recipe_file import split_of, to_toml

RECIPE_WITH_SHARE = Recipe.model_validate(tomllib.loads("held_out_share = 0.2\n" + RECIPE))


@dataclass(frozen=True)
class Parting:
    seed: int = 0
    held_out_share: float = 0.2
    validation_share: float = 0.1


@pytest.mark.parametrize("count", [20, 99, 1000])
@pytest.mark.parametrize("share", [0.0, 0.05, 0.2, 0.5])
def test_each_image_is_in_one_part(count: int, share: float) -> None:
    shares = Parting(held_out_share=share)
    given = images(noise(count, 8, 0))
    parts = list(set_aside.fitted_and_validation(given, shares))
    assert sum(map(len, parts)) == len(set_aside.seen(given, shares)) == set_aside.count_seen(count, shares)
    if round(share * count):
        parts.append(set_aside.held_out(given, shares))
    assert sorted(name for part in parts for name in part.names) == sorted(given.names)


def test_the_draw_follows_from_the_seed_and_is_not_that_of_the_validation_images() -> None:
    given = images(noise(200, 8, 0))
    first = set_aside.held_out(given, Parting(held_out_share=0.1)).names
    assert first == set_aside.held_out(given, Parting(held_out_share=0.1, validation_share=0.3)).names
    assert first != set_aside.held_out(given, Parting(seed=1, held_out_share=0.1)).names
    assert first != set_aside.fitted_and_validation(given, Parting(held_out_share=0.0))[1].names


def test_an_image_that_equals_another_is_no_figure_and_moves_none_of_the_others(
    caplog: pytest.LogCaptureFixture,
) -> None:
    pixels = noise(50, 8, 0)
    apart = set_aside.held_out(images(pixels), Parting()).names
    others = set_aside.seen(images(pixels), Parting()).names
    pixels[int(apart[3])] = pixels[int(others[0])]
    again = images(pixels)
    assert set_aside.held_out(again, Parting()).names == apart[:3] + apart[4:]
    assert set_aside.seen(again, Parting()).names == others
    assert "1 of the 10 images that were set aside equal others, and are left out" in caplog.text


def test_shares_that_leave_nothing() -> None:
    given = images(noise(10, 8, 0))
    with pytest.raises(DataError, match="sets none of its 10 images aside"):
        set_aside.held_out(given, Parting(held_out_share=0.0))
    with pytest.raises(DataError, match=r"held_out_share = 0\.99 leaves none of 10 images"):
        set_aside.seen(given, Parting(held_out_share=0.99))


def test_images_that_are_set_aside_have_no_influence_on_a_run(training: ImageSet, tmp_path: Path) -> None:
    recipe = RECIPE_WITH_SHARE.model_copy(update={"epochs": 1})
    apart = set(set_aside.held_out(training, recipe).names)
    pixels = np.array(training.pixels)
    rows = [row for row, name in enumerate(training.names) if name in apart]
    assert len(rows) == 60
    pixels[rows] = noise(len(rows), 32, 1)
    for name, given in (("one", training), ("other", replace(training, pixels=pixels))):
        result = train(recipe, given, tmp_path / name, resume=False)
        assert result.finished
        assert result.total_steps == check_batches(recipe, 300) == (240 - 24) // 64
    one, other = (checkpoint.load(tmp_path / name)["learner"] for name in ("one", "other"))
    assert all(torch.equal(one[name], other[name]) for name in one)
    trained = load_run(tmp_path / "one")
    fitted, validation = trained.split(training)
    assert len(trained.held_out(training)) == 60
    assert not apart & {*fitted.names, *validation.names}


def test_few_images_are_fitted_to_by_the_number_that_is_seen() -> None:
    fitted = fit_to_images(RECIPE_WITH_SHARE, 50, 1)
    held, validation = 10, 8
    assert (fitted.held_out_share, round(fitted.validation_share * 40)) == (0.2, validation)
    assert fitted.batch_size <= (50 - held - validation) // 2
    with pytest.raises(DataError, match="too few images: 3"):
        fit_to_images(RECIPE_WITH_SHARE, 4, 1)


def test_a_card_says_how_its_images_were_parted_and_old_ones_set_none_aside() -> None:
    shares = split_of(to_toml(RECIPE_WITH_SHARE))
    assert (shares.held_out_share, shares.validation_share, shares.seed) == (0.2, 0.1, 0)
    assert split_of("validation_share = 0.1\nseed = 3\n").held_out_share == 0
