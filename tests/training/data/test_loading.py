"""From a path to pixels: folders and Parquet files, the cache, and images that cannot be read."""

import json
import logging
import os
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from contract.preprocessing import Preprocessing
from tests.pictures import encoded, landscape, photo, plain
from training.data import load, open_source
from training.data.parquet_columns import class_metadata
from training.errors import DataError

RULE = Preprocessing(height=32, width=32)


def files(folder: Path, contents: dict[str, bytes]) -> Path:
    for name, content in contents.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)
    return folder


def table(path: Path, images: list[bytes], metadata: Any = None, **columns: object) -> Path:
    structs = pa.array([{"bytes": image} for image in images], pa.struct([("bytes", pa.binary())]))
    pq.write_table(pa.table({"image": structs, **columns}).replace_schema_metadata(metadata), path)
    return path


def test_sub_folders_are_classes_in_the_order_of_their_names(tmp_path: Path) -> None:
    folder = files(tmp_path, {"wren/1.png": plain(1), "ant/b.png": plain(2), "ant/deep/a.jpg": photo()})
    images = load(folder, RULE)
    assert images.class_names == ("ant", "wren")
    assert images.labels is not None
    assert dict(zip(images.names, images.labels.tolist(), strict=True)) == {
        "ant/b.png": 0,
        "ant/deep/a.jpg": 0,
        "wren/1.png": 1,
    }
    assert (images.pixels[images.names.index("wren/1.png")] == 1).all()


def test_a_flat_folder_has_no_classes(tmp_path: Path) -> None:
    contents = {
        "2.PNG": plain(2),
        "1.png": plain(1),
        "notes.txt": b"x",
        ".hidden.png": b"x",
        ".git/x.png": b"x",
    }
    images = load(files(tmp_path, contents), RULE)
    assert images.names == ("1.png", "2.PNG")
    assert images.labels is None
    assert images.pixels[:, 0, 0, 0].tolist() == [1, 2]


def test_an_image_beside_sub_folders_makes_the_folder_unlabelled(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    folder = files(tmp_path, {"ant/1.png": plain(1), "bee/1.png": plain(2), "loose.png": plain(3)})
    with caplog.at_level(logging.WARNING):
        assert load(folder, RULE).labels is None
    assert "loose.png" in caplog.text


def test_parquet_with_names_with_numbers_and_without_classes(tmp_path: Path) -> None:
    pictures = [plain(0), plain(1), plain(2)]
    labels = pa.array([1, 0, 1])
    named = load(
        table(tmp_path / "a.parquet", pictures, class_metadata(("ant", "bee"), "image"), label=labels), RULE
    )
    assert named.class_names == ("ant", "bee")
    numbered = load(table(tmp_path / "b.parquet", pictures, label=labels), RULE)
    assert numbered.class_names == ("0", "1")
    assert named.labels is not None
    assert named.labels.tolist() == [1, 0, 1]
    assert load(table(tmp_path / "c.parquet", pictures), RULE).labels is None
    # As data sets publish their secret test splits.
    assert load(table(tmp_path / "d.parquet", pictures, label=pa.array([-1] * 3)), RULE).labels is None
    assert named.pixels[:, 0, 0, 0].tolist() == [0, 1, 2]


@pytest.mark.parametrize(
    ("labels", "said"),
    [
        (pa.array([0, None, 1]), "1 nulls"),
        (pa.array([0.5, 1.0, 2.0]), "is double"),
        (pa.array([0, -2, 1]), "is -2. Classes count from 0"),
    ],
    ids=["null", "fraction", "negative"],
)
def test_labels_that_are_no_classes(tmp_path: Path, labels: "pa.Array[Any]", said: str) -> None:
    with pytest.raises(DataError, match=said):
        open_source(table(tmp_path / "a.parquet", [plain(0)] * 3, label=labels))


def test_a_label_without_a_name(tmp_path: Path) -> None:
    path = table(tmp_path / "a.parquet", [plain(0)], class_metadata(("ant",), "image"), label=pa.array([1]))
    with pytest.raises(DataError, match="has the label 1, but names only 1 classes"):
        open_source(path)


def test_a_parquet_file_without_rows(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="has 0 rows"):
        open_source(table(tmp_path / "a.parquet", []))


def test_unreadable_images_are_left_out_with_their_labels(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    pictures = [plain(number) for number in range(10)]
    pictures[3], pictures[7] = b"", pictures[7][:40]
    path = table(tmp_path / "a.parquet", pictures, label=pa.array(range(10)))
    with caplog.at_level(logging.WARNING):
        images = load(path, RULE, max_unreadable=0.2)
    assert images.labels is not None
    assert images.labels.tolist() == images.pixels[:, 0, 0, 0].tolist() == [0, 1, 2, 4, 5, 6, 8, 9]
    assert "row 3" in caplog.text
    assert "row 7" in caplog.text
    with pytest.raises(DataError, match=r"more than the 10\.0% .* row 3: .*; row 7: "):
        load(path, RULE, max_unreadable=0.1)


def test_a_link_to_nothing_is_an_unreadable_image(tmp_path: Path) -> None:
    files(tmp_path, {f"{number}.png": plain(number) for number in range(9)})
    (tmp_path / "gone.png").symlink_to(tmp_path / "nothing.png")
    assert len(load(tmp_path, RULE, max_unreadable=0.1)) == 9


def test_pixels_are_those_that_the_service_would_decode(tmp_path: Path) -> None:
    """Large, turned by EXIF, transparent: one decoder for both halves."""
    exif = Image.Exif()
    exif[0x0112] = 6
    transparent = landscape(50, 70).convert("RGBA")
    transparent.putalpha(0)
    contents = {
        "a.jpg": encoded(landscape(400, 300), "JPEG", exif=exif),
        "b.png": encoded(transparent),
    }
    images = load(files(tmp_path, contents), RULE)
    assert (images.pixels[1] == 255).all()
    upright = images.pixels[0].astype(int)
    # The red corner of the landscape is at the right after turning.
    assert upright[2, 28, 0] > 200
    assert upright[2, 28, 1] < 60


def test_the_second_load_decodes_nothing(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    folder = files(tmp_path / "images", {f"{number}.png": plain(number) for number in range(5)})
    first = load(folder, RULE, cache=tmp_path / "cache")
    assert "decoding" in capfd.readouterr().err
    second = load(folder, RULE, cache=tmp_path / "cache")
    assert "decoding" not in capfd.readouterr().err
    assert np.array_equal(first.pixels[:], second.pixels[:])
    assert first.names == second.names


def test_a_changed_file_and_another_rule_are_decoded_anew(tmp_path: Path) -> None:
    folder, cache = files(tmp_path / "images", {"a.png": plain(1)}), tmp_path / "cache"
    assert load(folder, RULE, cache=cache).pixels[0, 0, 0, 0] == 1
    (folder / "a.png").write_bytes(plain(9))
    os.utime(folder / "a.png", ns=(1, 1))
    assert load(folder, RULE, cache=cache).pixels[0, 0, 0, 0] == 9
    assert load(folder, Preprocessing(height=16, width=16), cache=cache).pixels.shape == (1, 16, 16, 3)


def test_writing_to_cached_pixels_changes_no_file(tmp_path: Path) -> None:
    folder, cache = files(tmp_path / "images", {"a.png": plain(1)}), tmp_path / "cache"
    for _ in range(2):
        images = load(folder, RULE, cache=cache)
        assert images.pixels[0, 0, 0, 0] == 1
        images.pixels[:][...] = 77


@pytest.mark.parametrize("damage", ["entry.json", "pixels.raw"])
def test_a_damaged_cache_entry_is_made_anew(tmp_path: Path, damage: str) -> None:
    folder, cache = files(tmp_path / "images", {"a.png": plain(1)}), tmp_path / "cache"
    load(folder, RULE, cache=cache)
    (entry,) = cache.glob("*/" + damage)
    entry.write_bytes(entry.read_bytes()[:3])
    assert load(folder, RULE, cache=cache).pixels[0, 0, 0, 0] == 1
    json.loads((entry.parent / "entry.json").read_text())


def test_a_cache_that_cannot_be_written_costs_time_only(tmp_path: Path) -> None:
    folder = files(tmp_path / "images", {"a.png": plain(1)})
    (tmp_path / "cache").write_text("a file, not a folder")
    assert load(folder, RULE, cache=tmp_path / "cache").pixels[0, 0, 0, 0] == 1


def test_splits_are_apart_whole_and_fixed_by_the_seed(sample_train: Path) -> None:
    images = load(sample_train, RULE)
    rest, drawn = images.split(0.1, seed=3)
    assert (len(rest), len(drawn)) == (270, 30)
    assert set(rest.names) | set(drawn.names) == set(images.names)
    assert not set(rest.names) & set(drawn.names)
    assert images.split(0.1, seed=3)[1].names == drawn.names
    assert images.split(0.1, seed=4)[1].names != drawn.names
    with pytest.raises(DataError, match="one side would be empty"):
        images.take(np.arange(3)).split(0.1, seed=0)
