"""`infomax embed` as a process: killed and stopped mid-way, by a service, and what its exit status says."""

import os
import signal
import subprocess
from pathlib import Path

import numpy as np
import orjson
import pyarrow.parquet as pq
import pytest

from tests.end_to_end.server import serving
from tests.pictures import photo
from tests.training.command import EXECUTABLE

# Rows are put on the disk by 2048.
GOOD = 2300
# What is said of them fills a pipe several times, so a process whose words are not read cannot end.
BROKEN = 900


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("photos")
    kinds = [folder.parent / f"kind{number}.jpg" for number in range(5)]
    for number, kind in enumerate(kinds):
        kind.write_bytes(photo(number) if number < 4 else b"not an image")
    for number in range(GOOD + BROKEN):
        broken = number == 1 or number >= GOOD
        os.link(kinds[4 if broken else number % 4], folder / f"{number:05}.jpg")
    return folder


@pytest.fixture(scope="module")
def environment(tiny_models: Path) -> dict[str, str]:
    settings = {"INFOMAX_MODELS_DIR": str(tiny_models), "INFOMAX_MODEL": "tiny", "INFOMAX_DEVICE": "cpu"}
    return {**os.environ, **settings}


def embed(environment: dict[str, str], *arguments: object) -> subprocess.CompletedProcess[str]:
    command = [EXECUTABLE, "embed", *map(str, arguments)]
    return subprocess.run(command, env=environment, capture_output=True, text=True)


def begun(environment: dict[str, str], *arguments: object) -> "subprocess.Popen[str]":
    """A run that has put rows on the disk, and cannot end before its words are read."""
    command = [EXECUTABLE, "embed", *map(str, arguments)]
    process = subprocess.Popen(
        command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
    )
    assert process.stderr is not None
    for line in process.stderr:
        if f"left out {GOOD:05}.jpg" in line:
            return process
    raise AssertionError(f"it ended with {process.wait()}")


@pytest.fixture(scope="module")
def whole(photos: Path, environment: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """The output of a run that nothing disturbed."""
    out = tmp_path_factory.mktemp("whole") / "vectors.parquet"
    done = embed(environment, photos, "--out", out)
    assert done.returncode == 0, done.stderr
    assert f"{GOOD - 1:,} embeddings in {out}, {BROKEN + 1:,} files left out" in done.stdout
    return out.read_bytes()


def test_a_run_that_is_killed_is_gone_on_with_to_the_same_bytes(
    photos: Path, environment: dict[str, str], whole: bytes, tmp_path: Path
) -> None:
    out = tmp_path / "vectors.parquet"
    process = begun(environment, photos, "--out", out)
    process.kill()
    process.communicate()
    assert not out.exists()
    again = embed(environment, photos, "--out", out)
    assert again.returncode == 0, again.stderr
    # What was on the disk is not embedded again.
    assert "left out 00001.jpg" not in again.stderr
    assert f"left out {GOOD + BROKEN - 1:05}.jpg" in again.stderr
    assert out.read_bytes() == whole
    assert [one.name for one in tmp_path.iterdir()] == ["vectors.parquet"]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_run_that_is_stopped_says_how_to_go_on(
    number: signal.Signals, photos: Path, environment: dict[str, str], whole: bytes, tmp_path: Path
) -> None:
    out = tmp_path / "vectors.parquet"
    process = begun(environment, photos, "--out", out)
    process.send_signal(number)
    _, said = process.communicate()
    assert process.returncode == 75
    assert f"of {GOOD + BROKEN:,} images are kept in {out}.partial. Run the same command again" in said
    assert "Traceback" not in said
    other = embed(environment, photos, "--out", out, "--max-image-bytes", 99_999)
    assert other.returncode == 1
    assert "is of a run with another limit of bytes" in other.stderr
    assert embed(environment, photos, "--out", out).returncode == 0
    assert out.read_bytes() == whole


def test_exit_status_and_files_for_schedulers(
    photos: Path, environment: dict[str, str], tmp_path: Path
) -> None:
    listed, out, rejects = tmp_path / "list.txt", tmp_path / "shards", tmp_path / "rejects.ndjson"
    listed.write_text("".join(f"{photos}/{number:05}.jpg\tlabel\n" for number in range(5)))
    options = ("--out", out, "--shard-images", 2, "--rejects", rejects, "--fail-on-error")
    done = embed(environment, listed, *options)
    assert (done.returncode, done.stdout.count("\n")) == (3, 1)
    assert [pq.read_metadata(part).num_rows for part in sorted(out.iterdir())] == [2, 2, 1]
    (rejected,) = map(orjson.loads, rejects.read_bytes().splitlines())
    assert rejected["code"] == "unsupported_format"
    assert embed(environment, listed, *options).returncode == 1
    assert embed(environment, listed, "--nonsense").returncode == 2


def test_a_service_embeds_as_this_process_does(
    photos: Path, environment: dict[str, str], whole: bytes, tiny_models: Path, tmp_path: Path, index_url: str
) -> None:
    out = tmp_path / "vectors.parquet"
    with serving(tiny_models, tmp_path / "server", workers=1, database_url=index_url) as server:
        done = embed(environment, photos, "--out", out, "--url", server.url)
    assert done.returncode == 0, done.stderr
    (tmp_path / "whole.parquet").write_bytes(whole)
    ours, theirs = pq.read_table(tmp_path / "whole.parquet"), pq.read_table(out)
    for column in ("id", "path", "label", "bytes", "error_code"):
        assert ours[column].equals(theirs[column]), column
    here, there = (np.array([row for row in one["embedding"].to_pylist() if row]) for one in (ours, theirs))
    np.testing.assert_allclose(here, there, atol=1e-6)
