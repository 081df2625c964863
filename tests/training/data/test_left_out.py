"""Nothing that a user names is dropped in silence: it is read, or counted and named with the reason."""

import logging
import os
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from contract.preprocessing import Preprocessing
from tests.pictures import encoded, plain
from tests.training.command import Infomax
from tests.training.data.test_loading import files
from training.data import load, open_source, parquet_rows
from training.data.parquet_columns import class_metadata
from training.errors import DataError

RULE = Preprocessing(height=32, width=32)
BYTES = pa.struct([("bytes", pa.binary()), ("path", pa.string())])


def notes(path: Path, caplog: pytest.LogCaptureFixture) -> str:
    """What opening says."""
    caplog.clear()
    with caplog.at_level(logging.WARNING):
        open_source(path)
    return caplog.text


def shard(path: Path, values: list[int], column: str = "label", **columns: list[object]) -> Path:
    """A Parquet file of plain images whose brightness is their label."""
    path.parent.mkdir(parents=True, exist_ok=True)
    images = pa.array([{"bytes": plain(value), "path": None} for value in values], BYTES)
    pq.write_table(pa.table({"image": images, column: values, **columns}), path)
    return path


@pytest.mark.parametrize(
    ("folders", "named"),
    [
        (("test", "train"), "test, train in images: taken as classes, though they look like parts"),
        (("Validation", "cats", "train_2017"), "Validation, train_2017 in images: taken as classes"),
        (("train",), "train in images: taken as classes"),
        (("bus", "train"), None),
        (("test tubes", "training shoes"), None),
    ],
)
def test_parts_of_a_set_that_are_taken_as_classes_are_named(
    folders: tuple[str, ...],
    named: str | None,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.chdir(tmp_path)
    files(tmp_path / "images", {f"{folder}/1.png": plain(1) for folder in folders})
    said = notes(Path("images"), caplog)
    if named is None:
        assert said == ""
        return
    assert named in said
    assert said.count("\n") == 1
    train = next(folder for folder in folders if folder.startswith("train"))
    assert said.endswith(f"Name one of them, such as images/{train}.\n")


def test_linked_folders_and_files_are_followed(tmp_path: Path) -> None:
    elsewhere = files(tmp_path / "elsewhere", {"1.png": plain(1), "2.png": plain(2)})
    folder = files(tmp_path / "images", {"bee/3.png": plain(3)})
    (folder / "ant").symlink_to(elsewhere)
    (folder / "bee" / "4.png").symlink_to(elsewhere / "1.png")
    images = load(folder, RULE)
    assert images.names == ("ant/1.png", "ant/2.png", "bee/3.png", "bee/4.png")
    assert images.class_names == ("ant", "bee")


def test_a_link_to_a_folder_that_is_there_already_is_named_and_ends(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Among them a link to the folder itself, which would never end."""
    folder = files(tmp_path, {"bee/3.png": plain(3)})
    (folder / "again").symlink_to(folder)
    (folder / "a-bee").symlink_to(folder / "bee")
    assert "2 links to folders that are taken already (a-bee, again)" in notes(folder, caplog)
    assert load(folder, RULE).names == ("bee/3.png",)


def test_a_linked_folder_that_changes_is_decoded_anew(tmp_path: Path) -> None:
    elsewhere = files(tmp_path / "elsewhere", {"1.png": plain(1)})
    (tmp_path / "images").mkdir()
    (tmp_path / "images" / "1.png").symlink_to(elsewhere / "1.png")
    assert load(tmp_path / "images", RULE, cache=tmp_path / "cache").pixels[0, 0, 0, 0] == 1
    (elsewhere / "1.png").write_bytes(plain(9))
    os.utime(elsewhere / "1.png", ns=(1, 1))
    assert load(tmp_path / "images", RULE, cache=tmp_path / "cache").pixels[0, 0, 0, 0] == 9


def test_files_without_an_ending_are_known_by_their_bytes(tmp_path: Path) -> None:
    folder = files(tmp_path, {"0001": plain(1), "IMG.1234": plain(2), "3.png": plain(3), "4.dat": b"\0" * 99})
    assert load(folder, RULE).names == ("0001", "3.png", "IMG.1234")


def test_images_of_other_formats_are_unreadable_ones(tmp_path: Path) -> None:
    """Not files of no concern: a folder half of JPEG 2000 is not trained on without a word."""
    picture = Image.new("RGB", (40, 40))
    folder = files(
        tmp_path,
        {"1.png": plain(1), "2.jp2": encoded(picture, "JPEG2000"), "scan": encoded(picture, "JPEG2000")},
    )
    assert open_source(folder).count == 3
    with pytest.raises(DataError, match=r"2 of the 3 images .* are unreadable.*2\.jp2: .*scan: "):
        load(folder, RULE, max_unreadable=0.4)
    assert load(folder, RULE, max_unreadable=1.0).names == ("1.png",)


def test_everything_else_is_counted_and_named_by_its_reason(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    texts = {f"notes-{number}.txt": b"some words" for number in range(8)}
    folder = files(tmp_path, {"1.png": plain(1), ".DS_Store": b"x", ".git/x.png": b"x", **texts})
    os.mkfifo(folder / "pipe.png")
    (folder / "gone.txt").symlink_to(folder / "nowhere")
    shard(folder / "more.parquet", [1])
    said = notes(folder, caplog)
    assert "8 not images (notes-0.txt, notes-1.txt, notes-2.txt, notes-3.txt, notes-4.txt, …)" in said
    assert "2 hidden (.DS_Store, .git)" in said
    assert "1 not regular files (pipe.png)" in said
    assert "1 links to nothing (gone.txt)" in said
    assert "1 Parquet files beside images (more.parquet)" in said
    assert load(folder, RULE).names == ("1.png",)


def test_a_folder_of_images_alone_says_nothing(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    assert notes(files(tmp_path, {"ant/1.png": plain(1), "bee/2.png": plain(2)}), caplog) == ""


def test_a_folder_without_images_is_refused_with_what_it_holds(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"holds no image\. It holds: 1 not images \(notes\.txt\)\."):
        open_source(files(tmp_path, {"notes.txt": b"x"}))


def test_folders_without_permission_are_named(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    if os.geteuid() == 0:
        pytest.skip("root may read everything")
    folder = files(tmp_path, {"1.png": plain(1), "closed/2.png": plain(2)})
    (folder / "closed").chmod(0)
    try:
        assert "1 folders that cannot be read: Permission denied (closed)" in notes(folder, caplog)
    finally:
        (folder / "closed").chmod(0o700)


@pytest.mark.parametrize("name", ["pipe.parquet", "pipe"])
def test_a_named_pipe_is_refused_and_not_waited_for(infomax: Infomax, tmp_path: Path, name: str) -> None:
    os.mkfifo(tmp_path / name)
    said = infomax(
        "train", "--recipe", "own_images_64", "--data", tmp_path / name, "--out", tmp_path / "run"
    ).sentence
    assert "is neither a folder" in said or "is not a regular file" in said


def test_an_image_that_becomes_a_pipe_is_an_unreadable_one(tmp_path: Path) -> None:
    source = open_source(files(tmp_path, {f"{number}.png": plain(number) for number in range(3)}))
    (tmp_path / "1.png").unlink()
    os.mkfifo(tmp_path / "1.png")
    assert load(source, RULE, max_unreadable=0.5).names == ("0.png", "2.png")


def test_names_that_are_not_utf_8_are_written_with_their_bytes(
    infomax: Infomax, sample_recipe: Path, tmp_path: Path
) -> None:
    """A whole run with them, its cache, progress, report and notes included."""
    folder = os.fsencode(tmp_path / "photos")
    for name in (b"caf\xe9", b"na\xefve"):
        os.makedirs(os.path.join(folder, name))  # noqa: PTH103, PTH118 (bytes)
        for number in range(20):
            with open(os.path.join(folder, name, b"\xff%d.png" % number), "wb") as file:  # noqa: PTH118, PTH123
                file.write(plain(10 * number + len(name)))
    images = load(tmp_path / "photos", RULE, cache=tmp_path / "cache")
    assert images.class_names == ("caf\\xe9", "na\\xefve")
    assert images.names[0] == "caf\\xe9/\\xff0.png"
    out = tmp_path / "run"
    answer = infomax("train", "--recipe", sample_recipe, "--data", tmp_path / "photos", "--out", out)
    assert answer.status == 0, answer.err
    assert "caf\\xe9" in (out / "report.html").read_text(encoding="utf-8")


@pytest.mark.parametrize("column", ["label", "labels", "fine_label"])
def test_classes_are_found_in_the_columns_of_the_field(tmp_path: Path, column: str) -> None:
    images = load(shard(tmp_path / "a.parquet", [2, 0, 1], column), RULE)
    assert images.labels is not None
    assert images.labels.tolist() == images.pixels[:, 0, 0, 0].tolist() == [2, 0, 1]


def test_classes_may_be_texts(tmp_path: Path) -> None:
    path = tmp_path / "a.parquet"
    images = pa.array([{"bytes": plain(1), "path": None}] * 3, BYTES)
    for labels in (pa.array(["wren", "ant", "wren"]), pa.array(["wren", "ant", "wren"]).dictionary_encode()):
        pq.write_table(pa.table({"image": images, "label": labels}), path)
        source = open_source(path)
        assert source.class_names == ("ant", "wren")
        assert source.labels is not None
        assert source.labels.tolist() == [1, 0, 1]


def test_columns_that_are_not_used_are_named(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = shard(tmp_path / "a.parquet", [0, 1], "fine_label", coarse_label=[0, 0], caption=["a", "b"])
    assert "that are not used: coarse_label, caption" in notes(path, caplog)
    assert notes(shard(tmp_path / "b.parquet", [0, 1]), caplog) == ""


def test_rows_that_name_files_are_read_from_them(tmp_path: Path) -> None:
    files(tmp_path, {"images/1.png": plain(1), "images/2.png": plain(2)})
    rows: list[dict[str, Any]] = [
        {"bytes": None, "path": "images/1.png"},
        {"bytes": plain(7), "path": "images/2.png"},
        {"bytes": None, "path": str(tmp_path / "images" / "2.png")},
    ]
    for number, column in enumerate((pa.array(rows, BYTES), pa.array([row["path"] for row in rows]))):
        path = tmp_path / f"{number}.parquet"
        pq.write_table(pa.table({"image": column}), path)
        images = load(path, RULE, cache=tmp_path / "cache")
        assert images.pixels[:, 0, 0, 0].tolist() == [1, 7 if number == 0 else 2, 2]
    (tmp_path / "images" / "1.png").write_bytes(plain(9))
    os.utime(tmp_path / "images" / "1.png", ns=(1, 1))
    assert load(path, RULE, cache=tmp_path / "cache").pixels[0, 0, 0, 0] == 9


def test_a_row_that_names_no_file_is_an_unreadable_image(tmp_path: Path) -> None:
    rows = [{"bytes": plain(1), "path": None}] * 9 + [{"bytes": None, "path": "nowhere.png"}]
    pq.write_table(pa.table({"image": pa.array(rows, BYTES)}), tmp_path / "a.parquet")
    assert len(load(tmp_path / "a.parquet", RULE, max_unreadable=0.1)) == 9
    with pytest.raises(DataError, match=r"nowhere\.png: The file cannot be read \(No such file"):
        load(tmp_path / "a.parquet", RULE)


def test_a_folder_of_shards_is_one_set(tmp_path: Path) -> None:
    shard(tmp_path / "data" / "train-00000-of-00002.parquet", [3, 1])
    shard(tmp_path / "data" / "train-00001-of-00002.parquet", [2, 0])
    for path in (tmp_path, tmp_path / "data" / "train-*.parquet"):
        images = load(path, RULE)
        assert images.labels is not None
        assert images.labels.tolist() == images.pixels[:, 0, 0, 0].tolist() == [3, 1, 2, 0]
        assert len(set(images.names)) == 4


def test_shards_of_several_splits_are_refused_by_name(tmp_path: Path) -> None:
    """To train on a set's test images in silence is worse than to leave something out."""
    shard(tmp_path / "data" / "train-00000-of-00001.parquet", [1])
    shard(tmp_path / "data" / "test-00000-of-00001.parquet", [2])
    with pytest.raises(DataError, match="several splits: test, train"):
        open_source(tmp_path)
    assert open_source(tmp_path / "**" / "train*.parquet").count == 1
    shard(tmp_path / "more" / "validation" / "0.parquet", [1])
    shard(tmp_path / "more" / "train" / "0.parquet", [1])
    with pytest.raises(DataError, match="several splits: train, validation"):
        open_source(tmp_path / "more")


def test_shards_of_different_sets_are_refused(tmp_path: Path) -> None:
    shard(tmp_path / "0.parquet", [1])
    shard(tmp_path / "1.parquet", [1], "labels")
    with pytest.raises(DataError, match=r"1\.parquet has other columns than .*0\.parquet"):
        open_source(tmp_path)
    for number, names in enumerate((("ant", "bee"), ("bee", "ant"))):
        table = pq.read_table(shard(tmp_path / "named" / f"{number}.parquet", [1]))
        schema = pa.schema(list(table.schema), metadata=class_metadata(names, "image"))
        pq.write_table(table.cast(schema), tmp_path / "named" / f"{number}.parquet")
    with pytest.raises(DataError, match="name their classes differently"):
        open_source(tmp_path / "named")


def test_rows_are_read_by_bytes_and_not_by_number(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Photographs take a thousand times what small images take, and a batch was 1,024 rows of either."""
    monkeypatch.setattr(parquet_rows, "_BYTES_AT_ONCE", 2**20)
    sizes: list[int] = []
    iterate = pq.ParquetFile.iter_batches

    def watched(self: pq.ParquetFile, *arguments: object, **options: object) -> object:
        for batch in iterate(self, *arguments, **options):  # type: ignore[arg-type]
            sizes.append(batch.num_rows)
            yield batch

    monkeypatch.setattr(pq.ParquetFile, "iter_batches", watched)
    noise = [os.urandom(2**18) for _ in range(40)]
    rows = pa.array([{"bytes": each, "path": None} for each in noise], BYTES)
    pq.write_table(pa.table({"image": rows}), tmp_path / "large.parquet", row_group_size=40)
    read = [image.read() for image in open_source(tmp_path / "large.parquet").images()]
    assert read == noise
    assert max(sizes) <= 4
    sizes.clear()
    shard(tmp_path / "small.parquet", list(range(200)))
    assert len(list(open_source(tmp_path / "small.parquet").images())) == 200
    assert max(sizes) == 200
