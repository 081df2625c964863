"""What `infomax train` refuses: one sentence on stderr, status 1, and no run half begun."""

from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch

from tests.pictures import photo
from tests.training.command import RECIPE, Infomax, start
from training.loop.run import Run

Refused = Callable[[Path], str]


@pytest.fixture
def refused(infomax: Infomax, sample_recipe: Path, tmp_path: Path) -> Refused:
    """What is said about images that `infomax train` refuses."""

    def sentence(data: Path) -> str:
        out = tmp_path / "run"
        answer = infomax("train", "--recipe", sample_recipe, "--data", data, "--out", out)
        assert not (out / "recipe.json").exists()
        return answer.sentence

    return sentence


def test_a_path_that_is_not_there(refused: Refused, tmp_path: Path) -> None:
    assert "Name a folder of images or a Parquet file" in refused(tmp_path / "photos")


def test_an_empty_folder(refused: Refused, tmp_path: Path) -> None:
    (tmp_path / "photos").mkdir()
    assert "holds no image" in refused(tmp_path / "photos")


def test_a_corrupt_parquet_file(refused: Refused, sample_train: Path, tmp_path: Path) -> None:
    corrupt = tmp_path / "corrupt.parquet"
    corrupt.write_bytes(sample_train.read_bytes()[:-100])
    assert "not a readable Parquet file" in refused(corrupt)


def test_damage_in_the_middle_of_a_parquet_file(refused: Refused, sample_train: Path, tmp_path: Path) -> None:
    """The footer is whole, so opening succeeds; reading does not."""
    corrupt = tmp_path / "corrupt.parquet"
    data = bytearray(sample_train.read_bytes())
    data[4:2000] = b"\xff" * 1996
    corrupt.write_bytes(data)
    assert "corrupt.parquet" in refused(corrupt)


def test_a_parquet_file_with_other_columns(refused: Refused, tmp_path: Path) -> None:
    path = tmp_path / "other.parquet"
    pq.write_table(pa.table({"picture": [b""], "label": [0]}), path)
    assert "has the columns picture, label; the images must be in a column named img or image" in refused(
        path
    )


def test_an_image_column_without_bytes(refused: Refused, tmp_path: Path) -> None:
    path = tmp_path / "other.parquet"
    pq.write_table(pa.table({"img": [1.5]}), path)
    assert "is double. It must be a struct with the member bytes" in refused(path)


def test_a_file_of_another_kind(refused: Refused, tmp_path: Path) -> None:
    path = tmp_path / "images.csv"
    path.write_text("a,b")
    assert "neither a folder nor a .parquet file" in refused(path)


def folder_of_photos(folder: Path, count: int, broken: int) -> Path:
    folder.mkdir()
    for number in range(count):
        (folder / f"{number:03d}.jpg").write_bytes(b"no image" if number < broken else photo(number))
    return folder


def test_too_many_unreadable_images_are_named(refused: Refused, tmp_path: Path) -> None:
    said = refused(folder_of_photos(tmp_path / "photos", 100, broken=3))
    assert "000.jpg" in said
    assert "1.0%" in said


def test_a_few_unreadable_images_are_named_and_left_out(
    sample_recipe: Path, decoded: Path, tmp_path: Path
) -> None:
    photos = folder_of_photos(tmp_path / "photos", 200, broken=2)
    arguments = ("--recipe", sample_recipe, "--data", photos, "--out", tmp_path / "run", "--epochs", 1)
    process = start("train", *arguments, "--no-report", cache=decoded)
    _, errors = process.communicate()
    assert process.returncode == 0, errors
    named = [line for line in errors.splitlines() if line.startswith("note: left out ")]
    assert [line.split()[3] for line in named] == ["000.jpg:", "001.jpg:"]


def test_a_batch_that_the_images_do_not_fill_is_refused_before_one_is_decoded(
    infomax: Infomax, sample_recipe: Path, sample_train: Path, tmp_path: Path
) -> None:
    arguments = ("--recipe", sample_recipe, "--data", sample_train, "--out", tmp_path / "run")
    answer = infomax("train", *arguments, "--batch-size", 271)
    assert answer.sentence == (
        "--batch-size is 271, and only 270 of the 300 images are trained on. "
        "Set --batch-size to 270 at most, or use more images."
    )
    assert "decoding" not in answer.err


def test_three_images_are_too_few(refused: Refused, tmp_path: Path) -> None:
    said = refused(folder_of_photos(tmp_path / "photos", 3, broken=0))
    assert said.startswith("There are too few images: 3. Training needs at least 4")


def test_images_that_are_all_equal(refused: Refused, tmp_path: Path) -> None:
    """The loss would be no number, and no learning rate is to blame."""
    photos = tmp_path / "photos"
    photos.mkdir()
    for number in range(80):
        (photos / f"{number}.jpg").write_bytes(photo(1))
    assert refused(photos).startswith("All 80 images are equal once decoded")


def test_a_gpu_that_is_not_there(
    infomax: Infomax, sample_recipe: Path, sample_train: Path, tmp_path: Path
) -> None:
    if torch.cuda.is_available():
        pytest.skip("there is a GPU")
    arguments = ("train", "--recipe", sample_recipe, "--data", sample_train, "--out", tmp_path / "run")
    assert "sees no GPU here" in infomax(*arguments, "--device", "cuda").sentence


def test_compiling_without_a_compiler(
    infomax: Infomax,
    sample_recipe: Path,
    sample_train: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("CXX", "no-such-compiler")
    arguments = ("train", "--recipe", sample_recipe, "--data", sample_train, "--out", tmp_path / "run")
    assert "there is no no-such-compiler" in infomax(*arguments, "--compile").sentence


def test_resuming_with_other_images(
    infomax: Infomax, sample_recipe: Path, sample_train: Path, finished_run: Path, tmp_path: Path
) -> None:
    """As many, so that nothing but what is in them tells them from the run's own."""
    table = pq.read_table(sample_train)
    other = tmp_path / "other.parquet"
    pq.write_table(table.take(list(reversed(range(len(table))))), other)
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "checkpoint.pt").write_bytes((finished_run / "checkpoint.pt").read_bytes())
    arguments = ("train", "--recipe", sample_recipe, "--data", other, "--out", tmp_path / "run")
    assert "was made of other images" in infomax(*arguments, "--resume").sentence


def test_a_loss_that_is_no_number(infomax: Infomax, sample_train: Path, tmp_path: Path) -> None:
    recipe = tmp_path / "absurd.toml"
    recipe.write_text(RECIPE + "[optimiser]\nlearning_rate = 1e30\n")
    answer = infomax("train", "--recipe", recipe, "--data", sample_train, "--out", tmp_path / "run")
    assert "lower optimiser.learning_rate" in answer.sentence


def test_a_recipe_that_no_memory_can_hold(infomax: Infomax, sample_train: Path, tmp_path: Path) -> None:
    recipe = tmp_path / "vast.toml"
    recipe.write_text(RECIPE.replace("code_units = 16", "code_units = 100_000_000_000"))
    answer = infomax("train", "--recipe", recipe, "--data", sample_train, "--out", tmp_path / "run")
    assert answer.sentence.startswith("Memory ran out. ")


def test_memory_that_runs_out_in_a_step(
    infomax: Infomax,
    sample_recipe: Path,
    sample_train: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(Run, "take_step", lambda *_: torch.empty(10**14))
    answer = infomax("train", "--recipe", sample_recipe, "--data", sample_train, "--out", tmp_path / "run")
    assert answer.sentence == (
        "Memory ran out at step 1. Lower batch_size (64) or input_size (32), or free memory and give the "
        "same command with --resume."
    )


def test_a_recipe_is_refused_before_any_image_is_read(infomax: Infomax, tmp_path: Path) -> None:
    arguments = ("--data", tmp_path / "nowhere", "--out", tmp_path / "run")
    assert "There is no recipe" in infomax("train", "--recipe", tmp_path / "no.toml", *arguments).sentence


def test_a_folder_that_holds_a_run_is_not_overwritten(
    infomax: Infomax, sample_recipe: Path, finished_run: Path, tmp_path: Path
) -> None:
    arguments = ("train", "--recipe", sample_recipe, "--data", tmp_path, "--out", finished_run)
    assert "already holds a run. Continue it with --resume" in infomax(*arguments).sentence


def test_resuming_what_never_began(
    infomax: Infomax, sample_recipe: Path, sample_train: Path, tmp_path: Path
) -> None:
    out = tmp_path / "run"
    arguments = ("train", "--recipe", sample_recipe, "--data", sample_train, "--out", out, "--resume")
    assert "Start the run without --resume" in infomax(*arguments).sentence
    assert not out.exists()


def test_a_damaged_checkpoint(
    infomax: Infomax, sample_recipe: Path, sample_train: Path, finished_run: Path, tmp_path: Path
) -> None:
    (tmp_path / "checkpoint.pt").write_bytes((finished_run / "checkpoint.pt").read_bytes()[:1000])
    arguments = ("train", "--recipe", sample_recipe, "--data", sample_train, "--out", tmp_path, "--resume")
    assert "cannot be read" in infomax(*arguments).sentence


def test_a_folder_that_cannot_be_made(infomax: Infomax, sample_recipe: Path, sample_train: Path) -> None:
    arguments = ("train", "--recipe", sample_recipe, "--data", sample_train)
    assert "cannot be made a folder" in infomax(*arguments, "--out", sample_train / "run").sentence


def test_the_process_itself_ends_with_one_sentence_and_status_1(
    sample_recipe: Path, decoded: Path, tmp_path: Path
) -> None:
    process = start(
        "train",
        "--recipe",
        sample_recipe,
        "--data",
        tmp_path / "no",
        "--out",
        tmp_path / "run",
        cache=decoded,
    )
    out, errors = process.communicate()
    assert process.returncode == 1
    assert out == ""
    assert errors == f"error: There is no {tmp_path / 'no'}. Name a folder of images or a Parquet file.\n"
