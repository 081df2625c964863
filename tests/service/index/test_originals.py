"""The folder of originals: whole files, found by digest, removed when no item names them."""

import hashlib
import os
from pathlib import Path

import pytest

from service.index.errors import IndexReadOnlyError
from service.index.originals import OriginalsFolder


def age(folder: Path) -> None:
    for path in folder.glob("*/*"):
        os.utime(path, (0, 0))


def test_what_was_written_is_read(tmp_path: Path) -> None:
    folder = OriginalsFolder(tmp_path / "originals")
    digest = folder.write(b"image")
    assert folder.write(b"image") == digest == hashlib.sha256(b"image").digest()
    assert folder.read(digest) == b"image"
    assert folder.read(hashlib.sha256(b"other").digest()) is None
    assert len(list(tmp_path.glob("originals/*/*"))) == 1


def test_only_what_no_item_names_is_removed_and_not_while_it_is_young(tmp_path: Path) -> None:
    folder = OriginalsFolder(tmp_path)
    named, unnamed = folder.write(b"named"), folder.write(b"unnamed")
    (tmp_path / "ab").mkdir(exist_ok=True)
    (tmp_path / "ab" / "left.part").write_bytes(b"hal")
    (tmp_path / "ab" / "README").write_bytes(b"a stranger's")
    assert folder.clean({named}) == 0
    age(tmp_path)
    assert folder.clean({named}) == 2
    assert (folder.read(named), folder.read(unnamed)) == (b"named", None)
    assert (tmp_path / "ab" / "README").exists()


def test_a_folder_that_cannot_be_written_to_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(IndexReadOnlyError, match="file"):
        OriginalsFolder(tmp_path / "file").write(b"image")
