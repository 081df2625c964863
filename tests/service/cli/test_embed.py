"""`infomax embed`: what lands in the file, what is left out, and what ends in a sentence."""

import asyncio
import os
from pathlib import Path

import numpy as np
import orjson
import pyarrow.parquet as pq
import pytest
import typer
from numpy.typing import NDArray
from typer.testing import CliRunner

from contract.errors import InfomaxError
from service.cli.embed import EmbedError, embed, run
from service.inference.results import Embedded, Want
from service.outputs.vector_files import NpyFile
from service.settings import Settings
from tests.pictures import photo
from tests.service.faults import running, settings
from tests.service.index_session import tiny_card

BROKEN = {"003.jpg": b"no image", "cats/017.jpg": b"", "cats/deep/099.jpg": photo(99)[:-200]}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A hundred files, three of them broken, in three folders, among hidden ones."""
    images = tmp_path / "images"
    (images / "cats" / "deep").mkdir(parents=True)
    (images / ".cache").mkdir()
    (images / ".cache" / "thumbnail.jpg").write_bytes(photo(1))
    (images / "._003.jpg").write_bytes(b"resource fork")
    for number in range(100):
        place = "" if number < 10 else "cats/" if number < 50 else "cats/deep/"
        name = f"{place}{number:03}.jpg"
        (images / name).write_bytes(BROKEN.get(name, photo(number)))
    return images


@pytest.fixture
def small(tiny_models: Path) -> Settings:
    return settings(tiny_models, workers=1)


def names_and_vectors(out: Path) -> tuple[list[str], NDArray[np.float32]]:
    if out.suffix == ".npy":
        return out.with_suffix(".txt").read_text().splitlines(), np.load(out)
    if out.suffix == ".parquet":
        table = pq.read_table(out)
        assert table.schema.metadata[b"infomax.model"] == b"tiny/1"
        found = table.to_pylist()
        return [row["id"] for row in found], np.array([row["embedding"] for row in found], np.float32)
    rows = [orjson.loads(line) for line in out.read_bytes().splitlines()]
    return [row["id"] for row in rows], np.array([row["embedding"] for row in rows], np.float32)


@pytest.mark.parametrize("suffix", [".npy", ".parquet", ".ndjson"])
def test_every_readable_image_gets_its_vector_under_its_name(
    suffix: str, folder: Path, small: Settings, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / f"vectors{suffix}"
    done = run(folder, out, small)
    assert (done.tally.ok, done.tally.errors) == (97, 3)
    names, vectors = names_and_vectors(out)
    files = sorted(str(file.relative_to(folder)) for file in folder.rglob("[0-9]*.jpg"))
    assert sorted(names) == [name for name in files if name not in BROKEN]

    async def expected() -> list[np.ndarray]:
        async with running(small.models_dir) as pipeline:
            images = [(folder / name).read_bytes() for name in names]
            outcomes = await pipeline.embed(images, Want.EMBEDDING)
            return [one.embedding for one in outcomes if isinstance(one, Embedded)]

    np.testing.assert_allclose(vectors, asyncio.run(expected()), atol=1e-5)
    said = capsys.readouterr().err
    for name in BROKEN:
        assert f"left out {name}: " in said
    assert sorted(file.name for file in tmp_path.iterdir()) == sorted(
        ["images", out.name, *(["vectors.txt"] if suffix == ".npy" else [])]
    )


def test_one_image_is_a_folder_of_one(folder: Path, small: Settings, tmp_path: Path) -> None:
    out = tmp_path / "one.npy"
    run(folder / "000.jpg", out, small)
    names, vectors = names_and_vectors(out)
    assert names == ["000.jpg"]
    assert vectors.shape == (1, 20)
    assert vectors.dtype == np.dtype("<f4")


def test_a_run_may_write_into_the_folder_of_its_images_repeatedly(folder: Path, small: Settings) -> None:
    for _ in range(2):
        assert run(folder, folder / "vectors.npy", small).tally.items == 100


def test_names_without_encoding_or_with_line_breaks_stay_one_line_each(
    small: Settings, tmp_path: Path
) -> None:
    images = tmp_path / "images"
    images.mkdir()
    for number, name in enumerate([b"caf\xe9.jpg", b"two\nlines.jpg"]):
        (images / os.fsdecode(name)).write_bytes(photo(number))
    run(images, tmp_path / "vectors.npy", small)
    assert names_and_vectors(tmp_path / "vectors.npy")[0] == ["caf\\xe9.jpg", "two\\nlines.jpg"]


def test_an_image_over_the_limit_is_left_out(folder: Path, tiny_models: Path, tmp_path: Path) -> None:
    (folder / "huge.jpg").write_bytes(bytes(20_000))
    done = run(folder, tmp_path / "vectors.npy", settings(tiny_models, workers=1, max_image_bytes=10_000))
    assert done.tally.failures["image_too_large"] == 1


@pytest.mark.parametrize(
    ("path", "out", "says"),
    [
        ("images", "vectors.csv", "End it in one of .npy, .parquet, .ndjson"),
        ("nowhere", "vectors.npy", "There is nothing at"),
        ("images", "nowhere/vectors.npy", "there is no folder"),
        ("empty", "vectors.npy", "holds no file"),
        ("text", "vectors.npy", "None of the 1 files"),
        ("images", "taken.npy", "cannot be written: Is a directory"),
    ],
)
def test_a_run_that_cannot_start_gives_a_sentence_and_leaves_nothing(
    path: str, out: str, says: str, folder: Path, small: Settings, tmp_path: Path
) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "text").mkdir()
    (tmp_path / "text" / "a.txt").write_text("no image")
    (tmp_path / "taken.npy.part").mkdir()
    before = sorted(tmp_path.iterdir())
    with pytest.raises(EmbedError, match=says):
        run(tmp_path / path, tmp_path / out, small)
    assert sorted(tmp_path.iterdir()) == before


def test_an_old_file_stays_until_the_new_one_is_complete(tiny_models: Path, tmp_path: Path) -> None:
    out = tmp_path / "vectors.npy"
    out.write_bytes(b"old")
    with pytest.raises(ZeroDivisionError), NpyFile(out, tiny_card(tiny_models)) as file:
        file.write(["a"], np.ones((1, 20), np.float32))
        raise ZeroDivisionError
    assert out.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [out]


def test_the_command_sums_up(
    folder: Path, tiny_models: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("INFOMAX_MODELS_DIR", str(tiny_models))
    monkeypatch.setenv("INFOMAX_MODEL", "tiny")
    monkeypatch.setenv("INFOMAX_DEVICE", "cpu")
    app = typer.Typer()
    app.command()(embed)
    out = tmp_path / "vectors.parquet"
    result = CliRunner().invoke(app, [str(folder), "--out", str(out)])
    assert result.exit_code == 0, result.output
    assert "97 embeddings in" in result.stdout
    assert "3 files left out" in result.stdout
    assert "left out 003.jpg: The bytes (starting 6e 6f" in result.stderr
    missing = CliRunner().invoke(app, [str(tmp_path / "nowhere"), "--out", str(out)])
    assert isinstance(missing.exception, InfomaxError)
