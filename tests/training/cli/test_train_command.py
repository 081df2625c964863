"""`infomax train`: what a run leaves behind, and that stopping and going on changes nothing."""

import signal
from pathlib import Path

import pytest
import torch

from tests.training.command import MANY_STEPS, Infomax, start
from training.cli.exit_status import STOPPED
from training.loop import checkpoint
from training.loop.metrics import read_points
from training.recipe_file import load_recipe


@pytest.fixture
def many_steps(tmp_path: Path) -> Path:
    path = tmp_path / "many_steps.toml"
    path.write_text(MANY_STEPS)
    return path


def weights(folder: Path) -> dict[str, torch.Tensor]:
    learned: dict[str, torch.Tensor] = checkpoint.load(folder)["learner"]
    return learned


def assert_same_weights(one: Path, other: Path) -> None:
    first, second = weights(one), weights(other)
    assert list(first) == list(second)
    assert all(torch.equal(first[name], second[name]) for name in first)


def test_a_run_leaves_checkpoint_recipe_metrics_curves_and_report(
    finished_run: Path, sample_recipe: Path
) -> None:
    state = checkpoint.load(finished_run)
    assert state["step"] == state["total_steps"] == 2 * (270 // 64)
    assert state["recipe"] == load_recipe(sample_recipe).model_dump_json()
    assert (finished_run / "report.html").is_file()
    assert (finished_run / "curves.png").read_bytes().startswith(b"\x89PNG")
    assert list((finished_run / "tensorboard").glob("events.out.tfevents.*"))
    names = {name for point in read_points(finished_run) for name in point}
    assert {"loss", "local_conv_nats", "pairwise_nats", "learning_rate", "rank_fc", "knn_fc"} <= names


def test_a_run_that_sigterm_stopped_goes_on_to_the_same_weights(
    infomax: Infomax, many_steps: Path, sample_train: Path, decoded: Path, tmp_path: Path
) -> None:
    through, stopped = tmp_path / "through", tmp_path / "stopped"
    arguments = ("train", "--recipe", many_steps, "--data", sample_train, "--no-report", "--out")
    assert infomax(*arguments, through).status == 0

    process = start(*arguments, stopped, cache=decoded)
    assert process.stderr is not None
    for line in process.stderr:
        if line.startswith("training: "):
            break
    process.send_signal(signal.SIGTERM)
    out, errors = process.communicate()
    assert process.returncode == STOPPED, errors
    assert "--resume" in out
    assert 0 < checkpoint.load(stopped)["step"] < checkpoint.load(through)["step"]

    answer = infomax(*arguments, stopped, "--resume")
    assert answer.status == 0
    assert "infomax probe" in answer.out
    assert_same_weights(through, stopped)


def test_a_run_that_broke_off_goes_on_from_its_checkpoint_to_the_same_weights_and_metrics(
    infomax: Infomax,
    sample_recipe: Path,
    sample_train: Path,
    finished_run: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    options = ("--recipe", sample_recipe, "--data", sample_train, "--no-report")
    arguments = ("train", *options, "--out", tmp_path / "run")
    with monkeypatch.context() as patch:
        # As when the machine loses power in the second epoch: a checkpoint of the first, metrics of more.
        saved = iter((checkpoint.save,))
        patch.setattr(checkpoint, "save", lambda folder, state: next(saved)(folder, state))
        with pytest.raises(StopIteration):
            infomax(*arguments)
    assert checkpoint.load(tmp_path / "run")["step"] == 4
    assert max(point["step"] for point in read_points(tmp_path / "run")) == 8
    assert infomax(*arguments, "--resume").status == 0
    assert_same_weights(tmp_path / "run", finished_run)
    assert read_points(tmp_path / "run") == read_points(finished_run)
