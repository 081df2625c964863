"""Parts hold the images of a corpus in their order, go over a pickle, and begin where a run came to."""

import pickle
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from service.corpus.image import CorpusImage
from service.corpus.parts import behind
from service.corpus.sources import Sources
from service.inference.results import Failed
from tests.service.streams import tar


@pytest.fixture
def sources(tmp_path: Path) -> Sources:
    """A folder, an archive, and a Parquet file of four row groups: 7, 5 and 10 images."""
    (tmp_path / "photos").mkdir()
    for number in range(7):
        (tmp_path / "photos" / f"{number}.jpg").write_bytes(b"%d" % number)
    (tmp_path / "shard.tar").write_bytes(tar([(f"{number}.jpg", b"%d" % number) for number in range(5)]))
    table = pa.table({"image": [b"%d" % number for number in range(10)]})
    pq.write_table(table, tmp_path / "table.parquet", row_group_size=3)
    return Sources.of(
        [str(tmp_path / name) for name in ("photos", "shard.tar", "table.parquet")], lambda _path: True
    )


def told(image: CorpusImage) -> tuple[str, str, bytes | Failed]:
    return image.id, image.path, image.read(100)


@pytest.mark.parametrize("done", range(23))
def test_parts_hold_what_is_left(done: int, sources: Sources) -> None:
    parts = [pickle.loads(pickle.dumps(part)) for part in behind(sources.parts(4), done)]  # noqa: S301
    assert [told(one) for part in parts for one in part.images()] == [*map(told, sources.images())][done:]


def test_parts_are_of_the_size_that_is_asked_for_or_of_an_archive(sources: Sources) -> None:
    assert [part.count for part in sources.parts(4)] == [4, 3, None, 6, 4]
    assert [sum(1 for _ in part.images()) for part in sources.parts(4)] == [4, 3, 5, 6, 4]
