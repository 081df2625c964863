"""The folder of originals: whole files, found by digest."""

import hashlib
from pathlib import Path

import pytest

from service.index.errors import IndexReadOnlyError
from service.index.originals import OriginalsFolder


def test_what_was_written_is_read(tmp_path: Path) -> None:
    folder = OriginalsFolder(tmp_path / "originals")
    digest = folder.write(b"image")
    assert folder.write(b"image") == digest == hashlib.sha256(b"image").digest()
    assert folder.read(digest) == b"image"
    assert folder.read(hashlib.sha256(b"other").digest()) is None
    assert len(list(tmp_path.glob("originals/*/*"))) == 1


def test_a_folder_that_cannot_be_written_to_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(IndexReadOnlyError, match="file"):
        OriginalsFolder(tmp_path / "file").write(b"image")
