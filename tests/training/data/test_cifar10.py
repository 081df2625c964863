"""The official CIFAR-10 archives: both give the same lossless images, and a pickle can run nothing."""

import io
import os
import pickle
import tarfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pyarrow.parquet as pq
import pytest
from numpy.typing import NDArray

from contract.preprocessing import Preprocessing
from tests.training.command import Infomax
from training.data import load
from training.data.cifar10 import convert
from training.errors import DataError

NAMES = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")
BATCHES = (*(f"data_batch_{number}" for number in range(1, 6)), "test_batch")
IN_A_BATCH = 12


def batch(number: int) -> tuple[NDArray[np.uint8], list[int]]:
    """Pixels [N, 3072] in the archive's order of planes, and labels."""
    rng = np.random.default_rng(number)
    return rng.integers(0, 256, (IN_A_BATCH, 3072), dtype=np.uint8), rng.integers(0, 10, IN_A_BATCH).tolist()


def archive(path: Path, members: dict[str, bytes]) -> Path:
    with tarfile.open(path, "w:gz") as tar:
        for name, content in members.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            tar.addfile(member, io.BytesIO(content))
    return path


def python_members() -> dict[str, bytes]:
    """As Python 2 wrote them: protocol 2, keys and strings that are bytes."""
    members = {"cifar-10-batches-py/readme.html": b"<html>"}
    for number, name in enumerate(BATCHES):
        pixels, labels = batch(number)
        record = {b"batch_label": name.encode(), b"labels": labels, b"data": pixels, b"filenames": [b"a.png"]}
        members[f"cifar-10-batches-py/{name}"] = old_pickle(record)
    meta = {
        b"num_cases_per_batch": 10000,
        b"label_names": [name.encode() for name in NAMES],
        b"num_vis": 3072,
    }
    return members | {"cifar-10-batches-py/batches.meta": old_pickle(meta)}


def old_pickle(record: dict[bytes, Any]) -> bytes:
    """A pickle with byte strings where Python 2 had its only strings, as the official files have them.

    Python 3 writes bytes in protocol 2 as a call of _codecs.encode, which no official file contains.
    """
    file = io.BytesIO()
    _Python2Pickler(file, protocol=2).dump(record)
    return file.getvalue()


class _Python2Pickler(pickle._Pickler):
    """Writes bytes with Python 2's opcodes for strings."""

    dispatch: ClassVar[dict[type, Any]] = dict(pickle._Pickler.dispatch)
    # Of the pickler in Python, which its type declarations leave out.
    write: Callable[[bytes], None]
    memoize: Callable[[object], None]

    def save_string(self, value: bytes) -> None:
        if len(value) < 256:
            self.write(pickle.SHORT_BINSTRING + bytes([len(value)]) + value)
        else:
            self.write(pickle.BINSTRING + len(value).to_bytes(4, "little") + value)
        self.memoize(value)

    dispatch[bytes] = save_string


def binary_members() -> dict[str, bytes]:
    members = {"cifar-10-batches-bin/readme.html": b"<html>"}
    for number, name in enumerate(BATCHES):
        pixels, labels = batch(number)
        records = np.concatenate([np.array(labels, np.uint8)[:, None], pixels], axis=1)
        members[f"cifar-10-batches-bin/{name}.bin"] = records.tobytes()
    return members | {"cifar-10-batches-bin/batches.meta.txt": ("\n".join(NAMES) + "\n\n").encode()}


@pytest.fixture(params=["python", "binary"])
def official(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Path]:
    members = python_members() if request.param == "python" else binary_members()
    yield archive(tmp_path / f"cifar-10-{request.param}.tar.gz", members)


def test_every_pixel_label_and_name_arrives(infomax: Infomax, official: Path, tmp_path: Path) -> None:
    answer = infomax("convert-cifar", official, "--out", tmp_path / "out")
    assert answer.status == 0, answer.err
    assert answer.out.splitlines() == [
        f"{tmp_path / 'out' / 'train.parquet'}: 60 images",
        f"{tmp_path / 'out' / 'test.parquet'}: 12 images",
    ]
    rule = Preprocessing(height=32, width=32)
    for file, numbers in (("train.parquet", range(5)), ("test.parquet", [5])):
        images = load(tmp_path / "out" / file, rule)
        pixels = np.concatenate([batch(number)[0] for number in numbers])
        assert np.array_equal(images.pixels[:], pixels.reshape(-1, 3, 32, 32).transpose(0, 2, 3, 1))
        assert images.labels is not None
        assert images.labels.tolist() == [label for number in numbers for label in batch(number)[1]]
        assert images.class_names == NAMES
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["test.parquet", "train.parquet"]


def test_both_archives_give_the_same_files(tmp_path: Path) -> None:
    for kind, members in (("python", python_members()), ("binary", binary_members())):
        list(convert(archive(tmp_path / f"{kind}.tar.gz", members), tmp_path / kind))
    for file in ("train.parquet", "test.parquet"):
        assert pq.read_table(tmp_path / "python" / file).equals(
            pq.read_table(tmp_path / "binary" / file), check_metadata=True
        )


class _Program:
    def __init__(self, function: Any, *arguments: object) -> None:
        self.call = function, arguments

    def __reduce__(self) -> tuple[Any, tuple[object, ...]]:
        return self.call


@pytest.mark.parametrize("place", ["data", "labels", "somewhere else"])
def test_a_pickle_that_would_run_something_is_refused_and_nothing_runs(tmp_path: Path, place: str) -> None:
    victim = tmp_path / "was_run"
    pixels, labels = batch(0)
    record: dict[bytes, object] = {b"data": pixels, b"labels": labels}
    record[place.encode()] = _Program(os.mkdir, str(victim))
    members = python_members() | {"cifar-10-batches-py/data_batch_3": old_pickle(record)}
    with pytest.raises(DataError, match=r"asks to run posix\.mkdir.*nothing of it was run"):
        list(convert(archive(tmp_path / "evil.tar.gz", members), tmp_path / "out"))
    assert not victim.exists()
    assert not (tmp_path / "out").exists()


def test_even_numpy_is_not_run(tmp_path: Path) -> None:
    record = {b"data": _Program(np.zeros, 10**12), b"labels": [0]}
    members = python_members() | {"cifar-10-batches-py/data_batch_1": old_pickle(record)}
    with pytest.raises(DataError, match="asks to run numpy"):
        list(convert(archive(tmp_path / "evil.tar.gz", members), tmp_path / "out"))


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"cifar-10-batches-bin/data_batch_2.bin": b"\0" * 3074}, "no multiple of 3073"),
        ({"cifar-10-batches-bin/data_batch_2.bin": b"\xff" * 3073}, "the label 255, but names only 10"),
        ({"cifar-10-batches-bin/batches.meta.txt": b""}, "has no batches.meta"),
    ],
)
def test_a_damaged_binary_archive_is_named(tmp_path: Path, changes: dict[str, bytes], said: str) -> None:
    with pytest.raises(DataError, match=said):
        list(convert(archive(tmp_path / "a.tar.gz", binary_members() | changes), tmp_path / "out"))


@pytest.mark.parametrize(
    "record",
    [
        {b"labels": [0]},
        {b"data": np.zeros((1, 10), np.uint8), b"labels": [0]},
        {b"data": np.zeros((1, 3072), np.float32), b"labels": [0]},
        {b"data": np.zeros((2, 3072), np.uint8), b"labels": [0]},
        {b"data": b"\0" * 3072, b"labels": [0]},
        {b"data": np.zeros((1, 3072), np.uint8), b"labels": [-1]},
        {b"data": np.zeros((1, 3072), np.uint8), b"labels": [2**70]},
        [1, 2, 3],
    ],
    ids=["no pixels", "narrow", "float", "more pixels", "no array", "negative", "huge", "a list"],
)
def test_a_pickle_of_something_else_is_one_sentence(tmp_path: Path, record: Any) -> None:
    members = python_members() | {"cifar-10-batches-py/data_batch_1": old_pickle(record)}
    with pytest.raises(DataError) as caught:
        list(convert(archive(tmp_path / "a.tar.gz", members), tmp_path / "out"))
    assert "\n" not in str(caught.value)


def test_half_a_download_is_named(infomax: Infomax, tmp_path: Path) -> None:
    whole = archive(tmp_path / "a.tar.gz", binary_members()).read_bytes()
    (tmp_path / "half.tar.gz").write_bytes(whole[: len(whole) // 2])
    answer = infomax("convert-cifar", tmp_path / "half.tar.gz", "--out", tmp_path / "out")
    assert "cut short" in answer.sentence


def test_files_that_are_no_archive(infomax: Infomax, sample_train: Path, tmp_path: Path) -> None:
    out = ("--out", tmp_path / "out")
    assert "There is no" in infomax("convert-cifar", tmp_path / "no.tar.gz", *out).sentence
    assert "no readable tar.gz archive" in infomax("convert-cifar", sample_train, *out).sentence
    other = archive(tmp_path / "other.tar.gz", {"cifar-100-python/train": b"x"})
    assert "cut short or another archive" in infomax("convert-cifar", other, *out).sentence


def test_a_member_that_unpacks_to_too_much_is_not_unpacked(tmp_path: Path) -> None:
    bomb = {"cifar-10-batches-bin/data_batch_1.bin": b"\0" * (65 * 2**20)}
    with pytest.raises(DataError, match="no CIFAR-10 batch"):
        list(convert(archive(tmp_path / "bomb.tar.gz", bomb), tmp_path / "out"))
