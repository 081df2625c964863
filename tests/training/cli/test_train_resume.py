"""`--resume`: what differs is named, runs are extended, and no end of a run leaves a folder of no use."""

import resource
import signal
from pathlib import Path

import pytest

from tests.training.cli.test_train_command import assert_same_weights
from tests.training.command import RECIPE, Infomax, start
from training.cli.exit_status import STOPPED
from training.loop import checkpoint
from training.loop.metrics import read_points
from training.recipe import Recipe
from training.system.folder_lock import locked


@pytest.fixture
def run(finished_run: Path, tmp_path: Path) -> Path:
    """A folder with the checkpoint of a finished run of two epochs of four steps."""
    (tmp_path / "run").mkdir()
    for file in ("checkpoint.pt", "recipe.json", "metrics.jsonl"):
        (tmp_path / "run" / file).write_bytes((finished_run / file).read_bytes())
    return tmp_path / "run"


@pytest.fixture
def arguments(sample_recipe: Path, sample_train: Path) -> tuple[object, ...]:
    return ("train", "--recipe", sample_recipe, "--data", sample_train, "--no-report", "--out")


@pytest.mark.parametrize("options", [(), ("--resume",)], ids=["anew", "resumed"])
def test_a_run_that_was_killed_before_its_first_checkpoint_begins_again(
    infomax: Infomax,
    arguments: tuple[object, ...],
    finished_run: Path,
    tmp_path: Path,
    options: tuple[str, ...],
) -> None:
    """With either command, since whoever requeues a killed job gives the one with --resume."""
    folder = tmp_path / "run"
    folder.mkdir()
    (folder / "recipe.json").write_bytes((finished_run / "recipe.json").read_bytes())
    (folder / "checkpoint.partial").write_bytes(b"cut sho")
    answer = infomax(*arguments, folder, *options)
    assert answer.status == 0
    assert "Resuming" not in answer.out
    assert_same_weights(folder, finished_run)
    assert read_points(folder) == read_points(finished_run)


def test_a_full_disk_is_one_sentence_and_the_run_goes_on_once_there_is_space(
    infomax: Infomax,
    arguments: tuple[object, ...],
    finished_run: Path,
    decoded: Path,
    tmp_path: Path,
) -> None:
    """A limit on the size of files stands in for the disk: metrics fit, a checkpoint does not."""
    folder = tmp_path / "run"

    def small_files() -> None:
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (200_000, 200_000))

    process = start(*arguments, folder, cache=decoded, preexec_fn=small_files)
    _, errors = process.communicate()
    assert process.returncode == 1, errors
    last = errors.splitlines()[-1]
    assert last.startswith(f"error: {folder} cannot be written at step 4: File too large.")
    assert "--resume" in last
    assert "Traceback" not in errors
    assert not (folder / "checkpoint.partial").exists()
    assert infomax(*arguments, folder, "--resume").status == 0
    assert_same_weights(folder, finished_run)


def test_two_processes_do_not_train_in_one_folder(
    infomax: Infomax, arguments: tuple[object, ...], tmp_path: Path
) -> None:
    (tmp_path / "run").mkdir()
    with locked(tmp_path / "run"):
        assert "Another process trains in" in infomax(*arguments, tmp_path / "run").sentence
    assert not checkpoint.exists(tmp_path / "run")


def test_the_key_that_differs_is_named_with_both_values(
    infomax: Infomax, arguments: tuple[object, ...], sample_train: Path, run: Path, tmp_path: Path
) -> None:
    said = infomax(*arguments, run, "--resume", "--batch-size", 32).sentence
    assert "has another recipe: batch_size is 64 there and 32 here. Resume with the same values" in said
    recipe = tmp_path / "other.toml"
    recipe.write_text(RECIPE.replace("temperature = 0.1\n", "").replace("positions = 4", "positions = 8"))
    others = ("--recipe", recipe, "--data", sample_train, "--out", run, "--resume")
    said = infomax("train", *others).sentence
    assert (
        "critic.temperature is 0.1 there and absent here; objective.positions is 4 there and 8 here." in said
    )


def test_another_precision_is_named_as_the_option_to_give(
    infomax: Infomax, arguments: tuple[object, ...], run: Path
) -> None:
    said = infomax(*arguments, run, "--resume", "--precision", "bfloat16").sentence
    assert "computed in float32 and this would be bfloat16. Resume with --precision float32." in said


def test_a_finished_run_is_extended(
    infomax: Infomax, arguments: tuple[object, ...], run: Path, caplog: pytest.LogCaptureFixture
) -> None:
    answer = infomax(*arguments, run, "--resume", "--epochs", 3)
    assert answer.status == 0
    assert "changes from 2 to 3 epochs" in caplog.text
    state = checkpoint.load(run)
    assert (state["step"], state["total_steps"]) == (12, 12)
    assert Recipe.model_validate_json(state["recipe"]).epochs == 3
    steps = [point["step"] for point in read_points(run) if "loss" in point]
    assert steps == list(range(1, 13))


def test_a_run_cannot_be_made_shorter_than_it_is(
    infomax: Infomax, arguments: tuple[object, ...], run: Path
) -> None:
    said = infomax(*arguments, run, "--resume", "--epochs", 1).sentence
    assert "has taken 8 steps, more than the 4 of 1 epoch." in said
    assert checkpoint.load(run)["total_steps"] == 8


def test_a_finished_run_that_is_resumed_as_it_is_stays_finished(
    infomax: Infomax, arguments: tuple[object, ...], run: Path, finished_run: Path
) -> None:
    answer = infomax(*arguments, run, "--resume")
    assert answer.status == 0
    # Said before the images are read, which takes minutes where they are many.
    assert answer.out.startswith(f"Resuming the run in {run}: reading its ")
    assert_same_weights(run, finished_run)


def test_a_time_limit_stops_like_a_signal(
    infomax: Infomax, arguments: tuple[object, ...], finished_run: Path, tmp_path: Path
) -> None:
    answer = infomax(*arguments, tmp_path / "run", "--minutes", 0)
    assert answer.status == STOPPED
    assert "--resume" in answer.out
    assert 0 < checkpoint.load(tmp_path / "run")["step"] < 8
    assert infomax(*arguments, tmp_path / "run", "--resume").status == 0
    assert_same_weights(tmp_path / "run", finished_run)


def test_a_run_of_few_steps_logs_each_of_them(finished_run: Path) -> None:
    """Else its curves would be one point."""
    assert [point["step"] for point in read_points(finished_run) if "loss" in point] == list(range(1, 9))
