"""`infomax utility`: what it leaves behind, and what it refuses before any work."""

from pathlib import Path

import pyarrow.parquet as pq
import pytest

from tests.training.command import Answer, Infomax
from training.cli import utility as command
from training.experiments.utility import ClassifierSchedule, load, sentence
from training.recipe import ViewRecipe


@pytest.fixture(autouse=True)
def few_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    quick = ClassifierSchedule(batch_size=8, fewest_steps=2, epochs=0, views=ViewRecipe())
    monkeypatch.setattr(command, "schedule_for", lambda _recipe, *_: quick)


def utility(infomax: Infomax, run: Path, train: Path, test: Path, *more: object) -> Answer:
    return infomax("utility", "--run", run, "--train", train, "--test", test, *more)


def test_table_sentence_file_and_picture(
    infomax: Infomax, finished_run: Path, sample_train: Path, sample_test: Path, tmp_path: Path
) -> None:
    more = ("--labels", "20,10", "--seeds", 2, "--out", tmp_path / "new" / "worth")
    answer = utility(infomax, finished_run, sample_train, sample_test, *more)
    assert answer.status == 0, answer.err
    curve = load(tmp_path / "new" / "worth")
    assert curve is not None
    assert [point.labels for point in curve.points] == [10, 20]
    assert len(curve.cells) == 2 * 2 * 3
    lines = answer.out.splitlines()
    assert [line.split("\t")[0] for line in lines[:-1]] == ["labels", "10", "20"]
    assert lines[-1] == sentence(curve)
    assert (tmp_path / "new" / "worth" / "utility.png").read_bytes().startswith(b"\x89PNG")
    again = utility(infomax, finished_run, sample_train, sample_test, *more)
    assert again.out == answer.out
    # Nothing is measured anew: no line of progress.
    assert again.err.splitlines() in ([], ["infomax utility: loading PyTorch"])


@pytest.mark.parametrize(
    ("labels", "sentence"),
    [
        ("50,9", "9 labels are fewer than the 10 classes, so one would have no image; ask for at least 10."),
        ("301", "301 labels are more than the 300 training images; ask for no more than these."),
    ],
)
def test_impossible_numbers_of_labels(
    infomax: Infomax,
    finished_run: Path,
    sample_train: Path,
    sample_test: Path,
    tmp_path: Path,
    labels: str,
    sentence: str,
) -> None:
    more = ("--labels", labels, "--out", tmp_path)
    answer = utility(infomax, finished_run, sample_train, sample_test, *more)
    assert answer.sentence == sentence
    assert list(tmp_path.iterdir()) == []


def test_labels_that_are_no_numbers(
    infomax: Infomax, finished_run: Path, sample_train: Path, sample_test: Path
) -> None:
    answer = utility(infomax, finished_run, sample_train, sample_test, "--labels", "all")
    assert answer.status == 2
    assert "50,100,1000" in answer.err


def test_images_without_labels_are_refused_before_any_is_decoded(
    infomax: Infomax, finished_run: Path, sample_train: Path, sample_test: Path, tmp_path: Path
) -> None:
    unlabelled = tmp_path / "unlabelled.parquet"
    pq.write_table(pq.read_table(sample_train).drop_columns(["label"]), unlabelled)
    answer = utility(infomax, finished_run, unlabelled, sample_test, "--out", tmp_path / "worth")
    assert answer.sentence.startswith("The training images have no labels, which a probe needs")
    assert "decoding" not in answer.err
    assert not (tmp_path / "worth").exists()


def test_a_folder_that_is_no_run(
    infomax: Infomax, sample_train: Path, sample_test: Path, tmp_path: Path
) -> None:
    assert "has no checkpoint.pt" in utility(infomax, tmp_path, sample_train, sample_test).sentence
