"""`infomax train --data photos`: what is not named is chosen and said, and the end is a model that serves."""

import re
import shlex
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from contract.artefact import open_artefact
from service.inference.model import open_model
from service.settings import Settings
from tests.training.cli.test_train_errors import folder_of_photos
from tests.training.command import Infomax
from training.cli.exit_status import STOPPED
from training.loop import checkpoint
from training.loop.trained import load_run
from training.recipe import Recipe


@pytest.fixture(autouse=True)
def in_a_folder_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def test_one_command_from_images_to_a_model_that_serves(
    infomax: Infomax, sample_train: Path, tmp_path: Path
) -> None:
    answer = infomax("train", "--data", sample_train, "--epochs", 1, "--export", "mine")
    assert answer.status == 0, answer.err
    said = answer.out.splitlines()
    assert said[:4] == [
        "32 x 32 pixels, encoder dim32: the largest size that the images fill, whose shorter sides have a "
        "median of 32 pixels.",
        "1 epoch, 7 steps: as --epochs asks.",
        "Batches of 32 images: 7 of them in an epoch.",
        "50 of 300 images are set aside for the figures of an export. 25 others validate.",
    ]
    assert said[-1] == "infomax serve --models-dir models --model mine"
    assert (tmp_path / "runs" / "sample_train" / "report.html").is_file()
    card = open_artefact(tmp_path / "models" / "mine" / "1").card
    assert (card.training.images, card.quality.images, card.calibration.images) == (250, 50, 50)
    assert card.licence == "not stated"
    assert "sample_train" in card.summary
    assert card.limits
    model = open_model(Settings(models_dir=tmp_path / "models", model="mine", device="cpu"))
    model.self_test()
    # The figures of the card are measured again on the images that were set aside.
    probed = infomax("probe", "--model", "models/mine/1", "--train", sample_train)
    assert "All figures agree with the card of mine/1." in probed.out, probed.out


def test_a_run_that_its_limit_stopped_goes_on_and_is_exported_as_the_next_version(
    infomax: Infomax, sample_train: Path, tmp_path: Path
) -> None:
    (tmp_path / "models" / "mine" / "4").mkdir(parents=True)
    arguments = ("train", "--data", sample_train, "--out", "run", "--no-report", "--export", "mine")
    stopped = infomax(*arguments, "--minutes", 0)
    assert stopped.status == STOPPED, stopped.err
    assert "1 epoch, 7 steps, of 600 epochs: as many as fit into the 0.0 minutes" in stopped.out
    step = checkpoint.load(tmp_path / "run")["step"]
    assert 0 < step < 7
    # The shortest limit that is enough is said, by what a step took.
    steps = "1 step" if step == 6 else f"{7 - step} steps"
    enough = re.search(rf"For the {steps} left, --resume --minutes (\d+) is enough\.", stopped.out)
    assert enough is not None, stopped.out
    assert infomax(*arguments, "--resume", "--minutes", enough[1]).status == 0
    assert open_artefact(tmp_path / "models" / "mine" / "5").card.training.epochs == 1


def test_the_next_step_that_is_printed_is_a_complete_command(
    infomax: Infomax, sample_train: Path, tmp_path: Path
) -> None:
    answer = infomax("train", "--data", sample_train, "--out", "A run", "--epochs", 1, "--no-report")
    (command,) = (line for line in answer.out.splitlines() if "infomax export" in line)
    name, *arguments = shlex.split(command.split(": ")[1])
    assert name == "infomax"
    # A folder's name with a space cannot be a model's.
    assert arguments[-1] == "a-run"
    assert infomax(*arguments).status == 0
    assert open_artefact(tmp_path / "models" / "a-run" / "1").card.training.images == 250


def test_images_are_set_aside_for_the_export_of_a_recipe_that_sets_none_aside(
    infomax: Infomax, sample_recipe: Path, sample_train: Path, tmp_path: Path
) -> None:
    # What is set aside is chosen before the first step, at which the limit ends the run.
    short = ("--epochs", 1, "--minutes", 0)
    arguments = ("--recipe", sample_recipe, "--data", sample_train, "--out", "run", "--no-report")
    assert infomax("train", *arguments, *short).status == STOPPED
    said = infomax("train", *arguments[2:], "--resume", "--export", "mine").sentence
    assert said.startswith("The run set no images aside (held_out_share = 0).")
    answer = infomax("train", *arguments[:4], "--out", "other", *short, "--export", "mine")
    assert answer.status == STOPPED, answer.err
    assert "50 of 300 images are set aside" in answer.out
    assert load_run(tmp_path / "other").recipe.held_out_share == pytest.approx(1 / 6)


def test_too_few_images_to_set_some_aside_train_and_are_not_exported(
    infomax: Infomax, tmp_path: Path
) -> None:
    photos = folder_of_photos(tmp_path / "photos", 24, broken=0)
    answer = infomax("train", "--data", photos, "--epochs", 1, "--no-report")
    assert answer.status == 0, answer.err
    assert "None of 24 images is set aside for the figures of an export: that takes 100 images." in answer.out
    recipe = Recipe.model_validate_json((tmp_path / "runs" / "photos" / "recipe.json").read_text())
    assert recipe.held_out_share == 0
    said = infomax("train", "--data", photos, "--out", "other", "--export", "mine").sentence
    assert said.startswith("24 images are too few to make a model of")
    assert not (tmp_path / "other").exists()


def test_copies_that_leave_too_few_figures_are_refused_before_the_run(
    infomax: Infomax, sample_train: Path, tmp_path: Path
) -> None:
    table = pq.read_table(sample_train)
    pq.write_table(table.take([row % 110 for row in range(500)]), tmp_path / "copies.parquet")
    answer = infomax("train", "--data", "copies.parquet", "--export", "mine")
    assert "held-out ones are too few to calibrate with" in answer.sentence
    assert not (tmp_path / "runs").exists()


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        (("--size", 64, "--recipe", "own_images_64"), "--size and --recipe contradict each other."),
        (("--size", 50), "--size is 50. Choose one of 32, 64, 96, 128."),
        (("--export", "My Model"), "The model's name is 'My Model'."),
        (("--resume",), "has no checkpoint.pt to resume."),
    ],
)
def test_what_is_refused_before_an_image_is_decoded(
    infomax: Infomax, sample_train: Path, options: tuple[object, ...], sentence: str, tmp_path: Path
) -> None:
    assert sentence in infomax("train", "--data", sample_train, *options).sentence
    assert not (tmp_path / "runs").exists()


def test_several_processes_need_a_recipe(
    infomax: Infomax, sample_train: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WORLD_SIZE", "2")
    said = infomax("train", "--data", sample_train).sentence
    assert said == (
        "Several processes train here, and a recipe is chosen by one. Name it with --recipe, such as "
        "own_images_64."
    )


def test_a_folder_without_its_recipe_is_resumed_with_a_named_one(
    infomax: Infomax, finished_run: Path, sample_train: Path, tmp_path: Path
) -> None:
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "checkpoint.pt").write_bytes((finished_run / "checkpoint.pt").read_bytes())
    said = infomax("train", "--data", sample_train, "--out", "run", "--resume").sentence
    assert said.endswith("Name the recipe of the run with --recipe.")
