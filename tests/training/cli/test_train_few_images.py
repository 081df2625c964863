"""Few images and unreadable ones: the recipe adapts and says so, and nothing is left out unnamed."""

import subprocess
import sys
from pathlib import Path

import pytest

from tests.pictures import photo
from tests.training.cli.test_train_errors import folder_of_photos
from tests.training.command import Infomax
from training.data.image_set import split_rows
from training.errors import DataError
from training.loop import checkpoint
from training.loop.small_sets import changes, fit_to_images
from training.loop.trained import load_run
from training.recipe import Recipe

OWN = Recipe.model_validate(
    {"name": "own", "epochs": 1, "batch_size": 256, "views": 1, "encoder": {"name": "dim32"}}
)


@pytest.mark.parametrize("ranks", [1, 2, 3])
@pytest.mark.parametrize("count", [4, 5, 7, 8, 20, 21, 100, 280, 290, 10_000])
def test_any_number_of_images_makes_whole_steps_that_the_ranks_share(count: int, ranks: int) -> None:
    if count < max(4, 3 * ranks):
        with pytest.raises(DataError, match=f"too few images: {count}"):
            fit_to_images(OWN.model_copy(update={"batch_size": 240}), count, ranks)
        return
    fitted = fit_to_images(OWN.model_copy(update={"batch_size": 240}), count, ranks)
    held_out, training = split_rows(count, fitted.validation_share, fitted.seed)
    assert len(training) // fitted.batch_size >= 1
    assert fitted.batch_size >= 2
    assert fitted.batch_size % ranks == 0
    assert len(held_out) >= min(8, count // 3)
    # As a resumed run does, which reads the recipe again.
    assert fit_to_images(fitted, count, ranks) == fitted


def test_enough_images_leave_a_recipe_as_it_is() -> None:
    assert fit_to_images(OWN, 1_000, 1) is OWN
    assert list(changes(OWN, OWN, 1_000)) == []


def test_twenty_photographs_are_trained_on_and_reported_on(
    infomax: Infomax, sample_recipe: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    photos = folder_of_photos(tmp_path / "photos", 20, broken=0)
    out = tmp_path / "run"
    arguments = ("--recipe", sample_recipe, "--data", photos, "--out", out, "--no-report")
    answer = infomax("train", *arguments)
    assert answer.status == 0, answer.err
    assert "batch_size is 4 in place of 64, for 20 images\n" in caplog.text
    assert "6 of 20 images are held out, more than the recipe's 10%\n" in caplog.text
    trained = load_run(out)
    assert trained.recipe.batch_size == 4
    assert trained.total_steps == 2 * (14 // 4)
    answer = infomax("report", "--run", out, "--train", photos)
    assert answer.status == 0, answer.err
    assert "Too short to judge." in answer.out


def test_all_unreadable_images_are_left_out_and_named_where_that_is_asked_for(
    infomax: Infomax, sample_recipe: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    photos, out = folder_of_photos(tmp_path / "photos", 100, broken=30), tmp_path / "run"
    arguments = ("train", "--recipe", sample_recipe, "--data", photos, "--out", out, "--no-report")
    assert "--skip-unreadable" in infomax(*arguments).sentence
    answer = infomax(*arguments, "--skip-unreadable")
    assert answer.status == 0, answer.err
    named = [message.split()[2] for message in caplog.messages if message.startswith("left out ")]
    assert named == [f"{number:03d}.jpg:" for number in range(30)]
    assert checkpoint.load(out)["step"] > 0
    assert "--skip-unreadable" in infomax("report", "--run", out, "--train", photos).sentence
    assert infomax("report", "--run", out, "--train", photos, "--skip-unreadable").status == 0


def test_a_wrong_path_is_refused_before_pytorch_is_loaded_and_leaves_no_folder(
    sample_recipe: Path, tmp_path: Path
) -> None:
    script = (
        "import sys\nfrom infomax.command import main\ntry: main()\nfinally: print('torch' in sys.modules)\n"
    )
    arguments = ("--recipe", sample_recipe, "--data", tmp_path / "no", "--out", tmp_path / "runs" / "one")
    answer = subprocess.run(
        [sys.executable, "-c", script, "train", *map(str, arguments)], capture_output=True, text=True
    )
    assert answer.returncode == 1
    assert answer.stdout == "False\n"
    assert answer.stderr.startswith(f"error: There is no {tmp_path / 'no'}")
    assert not (tmp_path / "runs").exists()


def test_a_refused_run_leaves_no_folder(infomax: Infomax, sample_recipe: Path, tmp_path: Path) -> None:
    photos = tmp_path / "photos"
    photos.mkdir()
    for number in range(100):
        (photos / f"{number}.jpg").write_bytes(photo(1))
    arguments = ("train", "--recipe", sample_recipe, "--data", photos, "--out", tmp_path / "run")
    answer = infomax(*arguments)
    assert "are equal" in answer.sentence
    # What takes its time is said first.
    assert answer.err.startswith(f"Looking through {photos}, then loading PyTorch.\n")
    assert not (tmp_path / "run").exists()
