"""A Ray cluster embeds to the bytes of one process, whichever actor dies."""

import os
import signal
import socket
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import partial
from itertools import islice
from pathlib import Path
from secrets import token_hex
from tempfile import TemporaryDirectory

import pytest
import typer
from typer.testing import CliRunner

from service.cli.embed import IMAGES_FAILED, embed
from service.cli.exit_status import STOPPED
from service.corpus.assembly import Output
from service.corpus.image import CorpusImage
from service.corpus.parts import CorpusPart
from service.corpus.recorder import Recorder
from service.corpus.run import CorpusEncoder, StoppedError, run
from service.corpus.sources import Sources
from service.inference.pipeline import Pipeline
from service.inference.results import Failed
from service.settings import Settings
from tests.pictures import photo
from tests.service.faults import settings
from tests.service.streams import tar

ray = pytest.importorskip("ray", reason="Ray is not installed: make setup")

# Of Ray itself, when it reads its own settings.
pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")

COUNT = 150
# Rows that the first start has put on the disk, and the image that kills.
DONE, DEADLY = 50, 100
SAMPLE = Path(__file__).parents[2] / "data" / "sample_test.parquet"


@dataclass(frozen=True)
class DeadlySources(Sources):
    """A corpus with an image that kills the process that reads it, the first time."""

    def parts(self, size: int) -> Iterator[CorpusPart]:
        place = DEADLY
        for part in super().parts(size):
            count = COUNT if part.count is None else part.count
            yield replace(part, opened=partial(deadly, part, place)) if 0 <= place < count else part
            place -= count


def deadly(part: CorpusPart, place: int) -> Iterator[CorpusImage]:
    for number, image in enumerate(part.opened()):
        yield replace(image, read=partial(read_or_die, image)) if number == place else image


def read_or_die(image: CorpusImage, limit: int) -> bytes | Failed:
    mark = mark_of(image)
    if not mark.exists():
        mark.touch()
        os.kill(os.getpid(), signal.SIGKILL)
    return image.read(limit)


def mark_of(image: CorpusImage) -> Path:
    return Path(image.path).parents[3] / "killed"


@pytest.fixture
def arguments(tmp_path: Path) -> list[str]:
    """A folder with broken files, an archive, and a Parquet file."""
    folder = tmp_path / "corpus"
    (folder / "photos" / "cats").mkdir(parents=True)
    for number in range(COUNT):
        content = b"not an image" if number % 40 == 7 else photo(number)
        (folder / "photos" / "cats" / f"{number:03}.jpg").write_bytes(content)
    (folder / "shard.tar").write_bytes(tar([(f"{number}.jpg", photo(number)) for number in range(20)]))
    return [str(folder / "photos"), str(folder / "shard.tar"), str(SAMPLE)]


@pytest.fixture(scope="module", autouse=True)
def token() -> Iterator[None]:
    """A token for the clusters of this process, which Ray would keep in the user's home otherwise."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("RAY_AUTH_TOKEN", token_hex(32))
        yield


@pytest.fixture(scope="module")
def cluster() -> Iterator[None]:
    # Sockets lie in it, whose paths have to be short.
    with TemporaryDirectory(dir="/tmp", prefix="ray-") as folder:
        ray.init(num_cpus=2, include_dashboard=False, log_to_driver=False, _temp_dir=folder)
        yield
        ray.shutdown()


def begin(corpus: Sources, output: Output, chosen: Settings) -> None:
    """Stop a run that has put rows on the disk which no other start would make."""

    def embed_some(images: Iterator[CorpusImage], recorder: Recorder) -> bool:
        for image in islice(images, DONE):
            recorder.expect(image, image.read(10**6))
            recorder.record(Failed("kept", "a row of the first start"))
        return True

    pipeline = Pipeline(chosen)
    encoder = CorpusEncoder(pipeline.card.id, pipeline.card.shapes.embedding, pipeline.key, embed_some)
    with pytest.raises(StoppedError):
        run(corpus, output, encoder, chosen, restart=False)


def files(folder: Path) -> dict[str, bytes]:
    return {str(one.relative_to(folder)): one.read_bytes() for one in folder.rglob("*") if one.is_file()}


def test_a_cluster_that_is_away_is_named_and_worth_another_try(
    arguments: list[str], tiny_models: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as closed:
        address = f"127.0.0.1:{closed.getsockname()[1]}"
    monkeypatch.setenv("RAY_ADDRESS", address)
    app = typer.Typer()
    app.command()(embed)
    options = ["--out", tmp_path / "vectors.parquet", "--models-dir", tiny_models, "--model", "tiny", "--ray"]
    done = CliRunner().invoke(app, [*arguments, *map(str, options)])
    assert done.exit_code == STOPPED, done.output
    assert f"No Ray cluster answers at RAY_ADDRESS={address}: Connection refused." in done.output


def test_a_cluster_that_cannot_be_started_is_an_error(
    arguments: list[str], tiny_models: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    long = tmp_path / ("x" * 100)
    long.mkdir()
    monkeypatch.setenv("RAY_TMPDIR", str(long))
    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    output = Output.of(tmp_path / "vectors.parquet", None, None, None, overwrite=False)
    from service.corpus.ray_run import RayRunError, run_by_ray

    with pytest.raises(RayRunError, match=r"No Ray cluster can be started here: .*\. Look at"):
        run_by_ray(Sources.of(arguments, output.foreign()), output, settings(tiny_models), None)


def test_a_cluster_goes_on_and_loses_an_actor_and_writes_what_one_process_does(
    cluster: None, arguments: list[str], tiny_models: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("service.cli.embed.Sources", DeadlySources)
    app = typer.Typer()
    app.command()(embed)
    chosen = settings(tiny_models)
    for name, how in (("here", []), ("ray", ["--ray", "--ray-actors", "2"])):
        (tmp_path / name).mkdir()
        rejects = tmp_path / name / "rejects.ndjson"
        output = Output.of(tmp_path / name / "vectors", None, 100, rejects, overwrite=False)
        begin(Sources.of(arguments, output.foreign()), output, chosen)
        options = ["--out", output.path, "--shard-images", 100, "--rejects", rejects, "--fail-on-error"]
        options += ["--models-dir", tiny_models, "--model", "tiny", "--device", "cpu", *how]
        done = CliRunner().invoke(app, [*arguments, *map(str, options)])
        assert done.exit_code == IMAGES_FAILED, done.output
        assert "52 files left out (kept 50, unsupported_format 2)" in done.output
    assert files(tmp_path / "ray") == files(tmp_path / "here")
    assert len(files(tmp_path / "ray")) == 4
    assert (tmp_path / "killed").exists()
