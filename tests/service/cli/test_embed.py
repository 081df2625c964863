"""`infomax embed`: what lands in the file, what is left out, and what ends in a sentence."""

import asyncio
import io
import os
import socket
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import orjson
import pyarrow.parquet as pq
import pytest
import typer
from numpy.typing import NDArray
from typer.testing import CliRunner

from contract.errors import InfomaxError
from contract.extras import installation
from service.cli.embed import embed
from service.corpus.assembly import Output
from service.corpus.run import Finished, run_here
from service.corpus.sources import Sources
from service.inference.results import Embedded, Want
from service.settings import Settings
from tests.pictures import photo
from tests.service.faults import running, settings

BROKEN = {"003.jpg": b"not an image", "cats/017.jpg": b"", "cats/deep/099.jpg": photo(99)[:-200]}


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


def run(path: Path, out: Path, chosen: Settings, *, overwrite: bool = False) -> tuple[Finished, Sources]:
    """What the command does with one source."""
    output = Output.of(out, None, None, None, overwrite=overwrite)
    sources = Sources.of([str(path)], output.foreign())
    return run_here(sources, output, chosen), sources


def test_ray_has_to_be_installed(
    folder: Path, small: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    app = typer.Typer()
    app.command()(embed)
    options = ["--out", str(tmp_path / "vectors.parquet"), "--models-dir", str(small.models_dir)]
    done = CliRunner().invoke(app, [str(folder), *options, "--model", "tiny", "--ray"])
    assert isinstance(done.exception, InfomaxError)
    assert str(done.exception) == f"--ray needs Ray Data, which is not installed. {installation('ray')}"
    both = CliRunner().invoke(app, [str(folder), *options, "--ray", "--url", "http://localhost"])
    assert both.exit_code == 2


def failures(done: Finished) -> int:
    return done.summary.failures.total()


def names_and_vectors(out: Path) -> tuple[list[str], NDArray[np.float32]]:
    if out.suffix == ".npy":
        return out.with_suffix(".txt").read_text().splitlines(), np.load(out)
    if out.suffix == ".parquet":
        table = pq.read_table(io.BytesIO(out.read_bytes()))
        assert table.schema.metadata[b"infomax.model"] == b"tiny/1"
        found = [row for row in table.to_pylist() if row["embedding"] is not None]
        return [row["id"] for row in found], np.array([row["embedding"] for row in found], np.float32)
    rows = [orjson.loads(line) for line in out.read_bytes().splitlines()]
    return [row["id"] for row in rows], np.array([row["embedding"] for row in rows], np.float32)


@pytest.mark.parametrize("suffix", [".npy", ".parquet", ".ndjson"])
def test_every_readable_image_gets_its_vector_under_its_name(
    suffix: str, folder: Path, small: Settings, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / f"vectors{suffix}"
    done, _ = run(folder, out, small)
    assert (done.summary.ok, failures(done)) == (97, 3)
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
        done, _ = run(folder, folder / "vectors.npy", small, overwrite=True)
        assert (done.summary.ok, failures(done)) == (97, 3)


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
    small = settings(tiny_models, workers=1, max_image_bytes=10_000)
    done, _ = run(folder, tmp_path / "vectors.npy", small)
    assert done.summary.failures["image_too_large"] == 1


@pytest.mark.parametrize(
    ("path", "out", "says"),
    [
        ("images", "vectors.csv", "End it in one of .npy, .parquet, .arrow, .ndjson"),
        ("nowhere", "vectors.npy", "There is nothing at"),
        ("images", "nowhere/vectors.npy", "there is no folder"),
        ("empty", "vectors.npy", "holds no file"),
        ("text", "vectors.npy", "None of the 1 files"),
        ("images", "taken.npy", "cannot be written: File exists"),
        ("images", "there.npy", "exists. Choose another name, or pass --overwrite"),
    ],
)
def test_a_run_that_cannot_start_gives_a_sentence_and_leaves_nothing(
    path: str, out: str, says: str, folder: Path, small: Settings, tmp_path: Path
) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "text").mkdir()
    (tmp_path / "text" / "a.txt").write_text("not an image")
    (tmp_path / "taken.npy.partial").write_bytes(b"a file")
    (tmp_path / "there.npy").write_bytes(b"old")
    before = sorted(tmp_path.iterdir())
    with pytest.raises(InfomaxError, match=says):
        run(tmp_path / path, tmp_path / out, small)
    assert sorted(tmp_path.iterdir()) == before


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
    assert "left out 003.jpg: The bytes (starting 'no" in result.stderr
    one = tmp_path / "one"
    one.mkdir()
    (one / "good.jpg").write_bytes(photo(0))
    (one / "bad.jpg").write_bytes(b"not an image")
    single = CliRunner().invoke(app, [str(one), "--out", str(tmp_path / "one.parquet")])
    assert "1 embedding in" in single.stdout
    assert "1 file left out" in single.stdout
    missing = CliRunner().invoke(app, [str(tmp_path / "nowhere"), "--out", str(out)])
    assert isinstance(missing.exception, InfomaxError)


def left_out(capsys: pytest.CaptureFixture[str]) -> dict[str, str]:
    """Why each file was left out, as the terminal says it."""
    lines = capsys.readouterr().err.splitlines()
    told = [line.partition("left out ")[2].partition(": ") for line in lines if "left out " in line]
    return {name: reason for name, _, reason in told}


def test_links_are_followed_but_not_round_in_circles(
    small: Settings, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    images, elsewhere = tmp_path / "images", tmp_path / "elsewhere"
    (elsewhere / "deep").mkdir(parents=True)
    images.mkdir()
    (elsewhere / "deep" / "a.jpg").write_bytes(photo(1))
    (images / "b.jpg").write_bytes(photo(2))
    (images / "file.jpg").symlink_to(elsewhere / "deep" / "a.jpg")
    (images / "folder").symlink_to(elsewhere)
    (elsewhere / "back").symlink_to(images)
    (images / "itself").symlink_to(images / "itself")
    (images / "nowhere.jpg").symlink_to(tmp_path / "missing")
    out = tmp_path / "vectors.npy"
    done, _ = run(images, out, small)
    assert names_and_vectors(out)[0] == ["b.jpg", "file.jpg", "folder/deep/a.jpg"]
    assert (done.summary.ok, failures(done)) == (3, 3)
    reasons = left_out(capsys)
    assert sorted(reasons) == ["folder/back", "itself", "nowhere.jpg"]
    assert "folder that it lies in" in reasons["folder/back"]
    assert "No such file" in reasons["nowhere.jpg"]


def test_pipes_sockets_and_devices_are_named_and_hang_nothing(
    small: Settings, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    images = tmp_path / "images"
    images.mkdir()
    (images / "a.jpg").write_bytes(photo(1))
    os.mkfifo(images / "pipe")
    (images / "endless").symlink_to("/dev/zero")
    with socket.socket(socket.AF_UNIX) as listening:
        # Paths of sockets are short.
        here = Path.cwd()
        os.chdir(images)
        listening.bind("socket")
        os.chdir(here)
        done, _ = run(images, tmp_path / "vectors.npy", small)
    assert (done.summary.ok, done.summary.failures["unreadable_file"]) == (1, 3)
    reasons = left_out(capsys)
    assert "a named pipe" in reasons["pipe"]
    assert "a device" in reasons["endless"]
    assert "a socket" in reasons["socket"]


def test_a_pipe_in_place_of_a_folder_is_refused_and_not_waited_for(small: Settings, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(InfomaxError, match="None of the 1 files"):
        run(tmp_path / "pipe", tmp_path / "vectors.npy", small)


def test_every_ending_is_tried_and_every_failure_named(
    small: Settings, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    images = tmp_path / "images"
    images.mkdir()
    (images / "without_ending").write_bytes(photo(1))
    (images / "picture.ppm").write_bytes(photo(2, image_format="PPM"))
    (images / "list.txt").write_text("a list")
    done, _ = run(images, tmp_path / "vectors.npy", small)
    assert (done.summary.ok, failures(done)) == (1, 2)
    assert set(left_out(capsys)) == {"picture.ppm", "list.txt"}


def test_hidden_files_are_counted_and_named(folder: Path, small: Settings, tmp_path: Path) -> None:
    (folder / "cats" / "Thumbs.db").write_bytes(b"views")
    _, sources = run(folder, tmp_path / "vectors.npy", small)
    assert sources.hidden.count == 3
    assert str(sources.hidden) == "._003.jpg, .cache, cats/Thumbs.db"
    hidden = tmp_path / "hidden"
    (hidden / ".a").mkdir(parents=True)
    with pytest.raises(InfomaxError, match=r"holds no file but hidden ones: \.a"):
        run(hidden, tmp_path / "others.npy", small)


def test_a_folder_that_cannot_be_read_is_named(
    small: Settings, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    images = tmp_path / "images"
    (images / "closed").mkdir(parents=True)
    (images / "a.jpg").write_bytes(photo(1))
    scan = os.scandir

    def closed(path: Path) -> Iterator[os.DirEntry[str]]:
        """As for a user without the right; the tests may run as one who has every right."""
        if isinstance(path, Path) and path.name == "closed":
            raise PermissionError(13, "Permission denied")
        return scan(path)

    monkeypatch.setattr(os, "scandir", closed)
    assert failures(run(images, tmp_path / "vectors.npy", small)[0]) == 1
    assert left_out(capsys)["closed"] == "The folder cannot be read: Permission denied."


def test_paths_without_encoding_can_be_read_written_and_told(small: Settings, tmp_path: Path) -> None:
    images = tmp_path / os.fsdecode(b"caf\xe9")
    images.mkdir()
    (images / "a.jpg").write_bytes(photo(1))
    for suffix in (".npy", ".parquet", ".ndjson"):
        out = tmp_path / (os.fsdecode(b"vectors-\xe9") + suffix)
        run(images, out, small)
        assert names_and_vectors(out)[0] == ["a.jpg"]
    with pytest.raises(InfomaxError) as caught:
        run(tmp_path / os.fsdecode(b"nowhere-\xe9"), tmp_path / "vectors.npy", small)
    assert "nowhere-\\xe9" in str(caught.value)
    str(caught.value).encode()
