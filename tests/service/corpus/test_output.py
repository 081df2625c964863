"""Outputs hold the same rows in every format and number of shards, and replace nothing by accident."""

import re
from pathlib import Path
from typing import Any

import numpy as np
import orjson
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from contract.errors import InfomaxError
from contract.progress import Progress
from service.cli.embed import IMAGES_FAILED
from service.cli.exit_status import STOPPED
from service.corpus.assembly import Output, Summary, assemble
from service.corpus.checkpoint import Checkpoint, CheckpointError
from service.corpus.image import CorpusImage
from service.corpus.recorder import Recorder
from service.corpus.rows import schema_of
from service.inference.results import Failed

ROOT = Path(__file__).parents[3]
SCHEMA = schema_of(2, "tiny/1")
IDENTITY = {"model": "tiny/1"}
FAILED = Failed("corrupt_image", "a sentence")
COUNT = 25


def images(count: int = COUNT, prefix: str = "") -> list[CorpusImage]:
    return [
        CorpusImage(f"{prefix}{n}", f"/photos/{n}", "cat" if n % 2 else None, lambda _: b"x")
        for n in range(count)
    ]


def record(checkpoint: Checkpoint, count: int, pieces: int = 1) -> None:
    """Put rows on the disk, each tenth a failure."""
    done = checkpoint.images
    rest = iter(images())
    checkpoint.skip(rest)
    with Progress("test") as progress:
        recorder = Recorder(checkpoint, SCHEMA, progress, COUNT)
        for number, image in enumerate([*rest][: count - done], done):
            failed = number % 10 == 9
            recorder.expect(image, FAILED if failed else b"data")
            recorder.record(FAILED if failed else np.array([number, 1], np.float32), 3, 4)
            if number % max(1, COUNT // pieces) == 0:
                recorder.commit(now=True)
        recorder.commit(now=True)


def finish(out: Path, *, pieces: int = 1, stops: tuple[int, ...] = (), **options: Any) -> Summary:
    """Write an output by several starts, with the rows in so many pieces."""
    output = Output.of(
        out,
        options.get("form"),
        options.get("shard_images"),
        options.get("rejects"),
        overwrite=options.get("overwrite", False),
    )
    for stop in (*stops, COUNT):
        checkpoint = Checkpoint(output.path, IDENTITY, restart=False)
        record(checkpoint, stop, pieces)
        if stop < COUNT:
            checkpoint.close()
    summary = assemble(checkpoint, output, SCHEMA)
    checkpoint.close(remove=True)
    return summary


def files(folder: Path) -> dict[str, bytes]:
    return {
        str(one.relative_to(folder)): one.read_bytes() for one in sorted(folder.rglob("*")) if one.is_file()
    }


@pytest.mark.parametrize("suffix", [".parquet", ".arrow", ".npy", ".ndjson"])
def test_the_bytes_depend_on_the_rows_alone(suffix: str, tmp_path: Path) -> None:
    results = []
    for name, pieces, stops in (("a", 1, ()), ("b", 7, ()), ("c", 5, (3, 17))):
        (tmp_path / name).mkdir()
        finish(tmp_path / name / f"out{suffix}", pieces=pieces, stops=stops)
        results.append(files(tmp_path / name))
    assert results[0] == results[1] == results[2]
    assert sorted(results[0]) == sorted({f"out{suffix}"} | ({"out.txt"} if suffix == ".npy" else set()))


def test_every_image_has_a_row(tmp_path: Path) -> None:
    rejects = tmp_path / "rejects.ndjson"
    summary = finish(tmp_path / "out.parquet", rejects=rejects)
    assert (summary.ok, dict(summary.failures)) == (23, {"corrupt_image": 2})
    table = pq.read_table(tmp_path / "out.parquet")
    assert table.schema.metadata[b"infomax.model"] == b"tiny/1"
    rows = table.to_pylist()
    assert [row["id"] for row in rows] == [str(number) for number in range(COUNT)]
    assert rows[1] == {
        "id": "1",
        "path": "/photos/1",
        "label": "cat",
        "bytes": 4,
        "width": 3,
        "height": 4,
        "embedding": [1, 1],
        "error_code": None,
        "error_message": None,
    }
    failed = rows[9]
    assert (failed["embedding"], failed["error_code"], failed["error_message"]) == (
        None,
        "corrupt_image",
        "a sentence",
    )
    assert [orjson.loads(line) for line in rejects.read_bytes().splitlines()] == [
        {"id": str(number), "path": f"/photos/{number}", "code": "corrupt_image", "message": "a sentence"}
        for number in (9, 19)
    ]


@pytest.mark.parametrize(
    ("images_each", "shards"), [(10, [10, 10, 5]), (25, [25]), (100, [25]), (1, [1] * 25)]
)
def test_a_folder_has_shards_of_equal_length(images_each: int, shards: list[int], tmp_path: Path) -> None:
    finish(tmp_path / "out", pieces=4, shard_images=images_each)
    parts = sorted((tmp_path / "out").iterdir())
    assert [part.name for part in parts] == [f"part-{number:05d}.parquet" for number in range(len(shards))]
    assert [pq.read_metadata(part).num_rows for part in parts] == shards
    ids = [row["id"] for part in parts for row in pq.read_table(part).to_pylist()]
    assert ids == [str(number) for number in range(COUNT)]
    assert [one.name for one in tmp_path.iterdir()] == ["out"]


def test_shards_may_be_arrays(tmp_path: Path) -> None:
    finish(tmp_path / "out", form="npy", shard_images=20)
    names = [one.name for one in sorted((tmp_path / "out").iterdir())]
    assert names == ["part-00000.npy", "part-00000.txt", "part-00001.npy", "part-00001.txt"]
    assert np.load(tmp_path / "out" / "part-00000.npy").shape == (18, 2)


def test_nothing_is_replaced_unless_asked(tmp_path: Path) -> None:
    both: dict[str, dict[str, Any]] = {"out.npy": {}, "shards": {"shard_images": 10}}
    for name, options in both.items():
        finish(tmp_path / name, **options)
        before = files(tmp_path)
        with pytest.raises(InfomaxError, match=r"exists. Choose another name, or pass --overwrite"):
            finish(tmp_path / name, **options)
        assert files(tmp_path) == before
        finish(tmp_path / name, overwrite=True, **options)
        assert files(tmp_path) == before
    (tmp_path / "names.txt").write_text("mine")
    with pytest.raises(InfomaxError, match=r"names.txt exists"):
        finish(tmp_path / "names.npy")


@pytest.mark.parametrize(
    ("out", "form", "shards", "says"),
    [
        ("out.csv", None, None, "no known ending"),
        ("out.npy", "parquet", None, "is one file. Leave out --format"),
        ("out.npy", None, 10, "is one file"),
        ("out", "csv", None, "no known ending"),
        ("nowhere/out", None, None, "there is no folder"),
    ],
)
def test_outputs_that_make_no_sense_are_refused(
    out: str, form: str | None, shards: int | None, says: str, tmp_path: Path
) -> None:
    with pytest.raises(InfomaxError, match=says):
        Output.of(tmp_path / out, form, shards, None, overwrite=False)


def test_two_runs_do_not_write_one_output(tmp_path: Path) -> None:
    first = Checkpoint(tmp_path / "out.npy", IDENTITY, restart=False)
    with pytest.raises(CheckpointError, match="Another run is writing"):
        Checkpoint(tmp_path / "out.npy", IDENTITY, restart=True)
    first.close()
    Checkpoint(tmp_path / "out.npy", IDENTITY, restart=False).close()


def test_work_of_another_run_is_not_gone_on_with(tmp_path: Path) -> None:
    out = tmp_path / "out.npy"
    checkpoint = Checkpoint(out, IDENTITY, restart=False)
    record(checkpoint, 10)
    checkpoint.close()
    with pytest.raises(CheckpointError, match=r"another model. Go on with the same, pass --restart"):
        Checkpoint(out, {"model": "tiny/2"}, restart=False)
    same = Checkpoint(out, IDENTITY, restart=False)
    assert same.images == 10
    with pytest.raises(CheckpointError, match="The images have changed"):
        same.skip(iter(images(prefix="other")))
    same.close()
    fewer = Checkpoint(out, IDENTITY, restart=False)
    with pytest.raises(CheckpointError, match="The images have changed"):
        fewer.skip(iter(images(5)))
    fewer.close()
    anew = Checkpoint(out, {"model": "tiny/2"}, restart=True)
    assert anew.images == 0
    anew.close()


def test_an_arrow_file_can_be_mapped(tmp_path: Path) -> None:
    finish(tmp_path / "out.arrow")
    with pa.memory_map(str(tmp_path / "out.arrow")) as mapped:
        assert pa.ipc.open_file(mapped).read_all().num_rows == COUNT


def test_the_page_names_the_columns_and_the_exit_statuses() -> None:
    page = (ROOT / "docs" / "embed.md").read_text()
    columns, statuses = (
        page.split(f"\n{head}\n")[1].split("\n\n")[0]
        for head in ("| column | type | |", "| status | meaning |")
    )
    named = [
        name
        for row in re.findall(r"^\| (`.+?`) \|", columns, re.MULTILINE)
        for name in re.findall(r"`(\w+)`", row)
    ]
    assert named == SCHEMA.names
    assert re.findall(r"^\| (\d+) \|", statuses, re.MULTILINE) == [
        "0",
        "1",
        "2",
        str(IMAGES_FAILED),
        str(STOPPED),
    ]
