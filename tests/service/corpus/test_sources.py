"""Every kind of source yields its images in one order, with ids, labels and contents."""

import io
import json
import os
import tarfile
from collections.abc import Sequence
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from contract.errors import InfomaxError
from service.corpus.image import CorpusImage
from service.corpus.sources import Sources
from service.inference.results import Failed
from tests.service.streams import tar

MOST = 1000
ROOT = Path(__file__).parents[3]


def images(*arguments: object) -> list[tuple[str, str | None, bytes | Failed]]:
    sources = Sources.of([*map(str, arguments)], lambda _path: True)
    found = [(one.id, one.label, one.read(MOST)) for one in sources.images()]
    assert sources.count() in (None, len(found))
    return found


def code(content: bytes | Failed) -> str:
    return content.code if isinstance(content, Failed) else "ok"


def write(folder: Path, files: dict[str, bytes]) -> Path:
    for name, data in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(data)
    return folder


def archive(path: Path, files: Sequence[tuple[str, bytes]]) -> Path:
    path.write_bytes(tar(files))
    return path


def test_a_folder_has_its_sub_folders_as_labels(tmp_path: Path) -> None:
    folder = write(tmp_path / "photos", {"b.jpg": b"b", "cats/a.jpg": b"a", "cats/deep/c.jpg": b"c"})
    assert images(folder) == [
        ("b.jpg", None, b"b"),
        ("cats/a.jpg", "cats", b"a"),
        ("cats/deep/c.jpg", "cats", b"c"),
    ]


def test_several_folders_keep_equal_names_apart(tmp_path: Path) -> None:
    for name in ("x", "y"):
        write(tmp_path / name, {"a.jpg": name.encode()})
    found = images(tmp_path / "x", tmp_path / "y")
    assert [(Path(one).parts[-2:], content) for one, _, content in found] == [
        (("x", "a.jpg"), b"x"),
        (("y", "a.jpg"), b"y"),
    ]


def test_patterns_are_expanded_in_order(tmp_path: Path) -> None:
    write(tmp_path, {"a/2.jpg": b"2", "a/1.jpg": b"1", "b/3.jpg": b"3", "b/4.png": b"4"})
    assert [content for *_, content in images(tmp_path / "**" / "*.jpg")] == [b"1", b"2", b"3"]
    assert [content for *_, content in images(tmp_path / "a" / "{1..2}.jpg")] == [b"1", b"2"]
    write(tmp_path, {"a/[x].jpg": b"x"})
    assert [content for *_, content in images(tmp_path / "a" / "[x].jpg")] == [b"x"]


def test_a_list_names_files_and_labels(tmp_path: Path) -> None:
    write(tmp_path, {"photos/a.jpg": b"a", "b c.jpg": b"b"})
    listed = tmp_path / "list.txt"
    listed.write_text("photos/a.jpg\tcat\n\nb c.jpg\r\nmissing.jpg\tdog\n")
    found = images(listed)
    assert found[:2] == [("photos/a.jpg", "cat", b"a"), ("b c.jpg", None, b"b")]
    assert (found[2][:2], code(found[2][2])) == (("missing.jpg", "dog"), "unreadable_file")


def test_a_webdataset_shard_has_samples_with_labels(tmp_path: Path) -> None:
    shard = archive(
        tmp_path / "shard-0.tar",
        [
            ("0.cls", b"7\n"),
            ("0.jpg", b"a"),
            ("1.jpg", b"b"),
            ("1.json", json.dumps({"label": "dog"}).encode()),
            ("2.left.jpg", b"c"),
            ("2.right.jpg", b"d"),
            ("2.txt", b"a caption"),
            ("cats/3.jpg", b"e"),
            ("4.json", b"{}"),
        ],
    )
    assert images(shard) == [
        ("0.jpg", "7", b"a"),
        ("1.jpg", "dog", b"b"),
        ("2.left.jpg", None, b"c"),
        ("2.right.jpg", None, b"d"),
        ("cats/3.jpg", "cats", b"e"),
        ("4.json", None, b"{}"),
    ]


def test_members_that_are_not_files_and_damage_are_named(tmp_path: Path) -> None:
    whole = archive(tmp_path / "whole.tar", [("a.jpg", b"a"), ("big.jpg", bytes(MOST + 1))])
    with tarfile.open(whole, "a") as opened:
        link = tarfile.TarInfo("link.jpg")
        link.type, link.linkname = tarfile.SYMTYPE, "a.jpg"
        opened.addfile(link)
    assert [code(content) for *_, content in images(whole)] == ["ok", "image_too_large", "unreadable_file"]
    cut = tmp_path / "cut.tar"
    cut.write_bytes(tar([("a.jpg", b"a"), ("b.jpg", bytes(900))])[: 512 * 3 + 400])
    assert [code(content) for *_, content in images(cut)][-1] == "unreadable_file"
    (tmp_path / "text.tar").write_bytes(b"no archive")
    ((name, _, content),) = images(tmp_path / "text.tar")
    assert name.endswith("text.tar")
    assert code(content) == "unreadable_file"


def test_a_compressed_archive_is_read(tmp_path: Path) -> None:
    path = tmp_path / "a.tar.gz"
    with tarfile.open(path, "w:gz") as opened:
        member = tarfile.TarInfo("a.jpg")
        member.size = 1
        opened.addfile(member, io.BytesIO(b"a"))
    assert images(path) == [("a.jpg", None, b"a")]


@pytest.mark.parametrize("form", ["struct", "bytes", "paths"])
def test_parquet_files_hold_images_in_the_layouts_of_the_field(form: str, tmp_path: Path) -> None:
    write(tmp_path, {"a.jpg": b"a", "b.jpg": b"b"})
    values = {
        "struct": [{"bytes": b"a", "path": "x/a.jpg"}, {"bytes": None, "path": "b.jpg"}],
        "bytes": [b"a", b"b"],
        "paths": ["a.jpg", "b.jpg"],
    }[form]
    ids = {"struct": ["x/a.jpg", "b.jpg"], "bytes": ["0", "1"], "paths": ["a.jpg", "b.jpg"]}[form]
    path = tmp_path / "images.parquet"
    pq.write_table(pa.table({"image": values, "label": [3, None]}), path)
    assert images(path) == [(ids[0], "3", b"a"), (ids[1], None, b"b")]


def test_parquet_columns_of_ids_and_class_names_are_used(tmp_path: Path) -> None:
    path = tmp_path / "images.parquet"
    names = {"info": {"features": {"label": {"names": ["cat", "dog"]}}}}
    table = pa.table({"img": [b"a", None], "label": [1, 5], "id": ["x", "y"]})
    pq.write_table(table.replace_schema_metadata({"huggingface": json.dumps(names)}), path)
    first, second = images(path)
    assert first == ("x", "dog", b"a")
    assert (second[:2], code(second[2])) == (("y", "5"), "unreadable_file")


def test_the_sample_of_this_repository_is_a_source() -> None:
    path = ROOT / "tests" / "data" / "sample_test.parquet"
    sources = Sources.of([str(path)], lambda _path: True)
    found: list[CorpusImage] = [*sources.images()]
    assert len(found) == sources.count()
    assert all(isinstance(one.read(10**6), bytes) for one in found[:3])


def test_what_cannot_be_a_source_is_named(tmp_path: Path) -> None:
    with pytest.raises(InfomaxError, match=r"There is nothing at .*nowhere"):
        images(tmp_path / "nowhere*")
    pq.write_table(pa.table({"text": ["a"]}), tmp_path / "texts.parquet")
    with pytest.raises(InfomaxError, match=r"has the columns text. Name the column of images img or image"):
        images(tmp_path / "texts.parquet")
    (tmp_path / "empty.txt").write_text("\n")
    with pytest.raises(InfomaxError, match="holds no file"):
        Sources.of([str(tmp_path / "empty.txt")], lambda _path: True).count()
    name = os.fsdecode(b"caf\xe9")
    with pytest.raises(InfomaxError, match=r"caf\\xe9"):
        images(tmp_path / name)
