"""Streams of items as Arrow: whatever writes them, however they are cut, and whatever is wrong with them."""

import io
import struct
from collections.abc import Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from service.errors import ServiceError
from service.inference.results import Failed
from service.inputs.arrow_messages import ARROW
from service.inputs.stream import BareVector, StreamItem, StreamLimits
from tests.service.streams import LIMITS, cut, read

ROWS = 7
VECTORS = np.arange(3 * ROWS, dtype=np.float32).reshape(ROWS, 3)
IDS = [f"cats/{row}" for row in range(ROWS)]


def written(table: pa.Table, rows: int = 3, **options: Any) -> bytes:
    """A table as a stream of batches of so many rows."""
    file = io.BytesIO()
    with pa.ipc.new_stream(file, table.schema, options=pa.ipc.IpcWriteOptions(**options)) as writer:
        writer.write_table(table, max_chunksize=rows)
    return file.getvalue()


def vectors(kind: Any) -> Any:
    return pa.array(VECTORS.tolist(), kind)


def numbers(items: Sequence[StreamItem]) -> list[list[float]]:
    found = []
    for item in items:
        assert isinstance(item.content, BareVector)
        assert isinstance(item.content.numbers, np.ndarray)
        found.append(item.content.numbers.tolist())
    return found


KINDS: list[Any] = [
    pa.list_(pa.float32(), 3),
    pa.list_(pa.float64(), 3),
    pa.list_(pa.float16(), 3),
    pa.list_(pa.float32()),
    pa.large_list(pa.float64()),
]


@pytest.mark.parametrize("kind", KINDS, ids=str)
@pytest.mark.parametrize("rows", [1, 3, 100])
def test_vectors_of_every_kind_of_list_and_float_are_read(kind: Any, rows: int) -> None:
    values = VECTORS.astype(np.float16).tolist() if kind.value_type == pa.float16() else VECTORS.tolist()
    array = pa.array([[np.float16(x) for x in row] for row in values], kind)
    table = pa.table({"id": IDS, "vector": array})
    items, failure = read(ARROW, [written(table, rows)])
    assert failure is None
    assert [item.id for item in items] == IDS
    assert [item.index for item in items] == list(range(ROWS))
    assert numbers(items) == VECTORS.tolist()
    assert [item.metadata for item in items] == [{}] * ROWS


def test_slices_of_tables_are_read_where_they_begin() -> None:
    for kind in KINDS[:2] + KINDS[3:]:
        table = pa.table({"id": IDS, "vector": vectors(kind)}).slice(2, 4)
        items, failure = read(ARROW, [written(table, 100)])
        assert failure is None
        assert numbers(items) == VECTORS[2:6].tolist()
        assert [item.id for item in items] == IDS[2:6]


def test_metadata_come_as_struct_as_text_or_not_at_all() -> None:
    as_struct = pa.array([{"label": "cat", "n": row} for row in range(ROWS - 1)] + [None])
    as_text = pa.array([f'{{"label": "cat", "n": {row}}}' for row in range(ROWS - 1)] + [None])
    dictionary = as_text.dictionary_encode()
    for column in (as_struct, as_text, dictionary):
        table = pa.table({"vector": vectors(KINDS[0]), "metadata": column})
        items, failure = read(ARROW, [written(table)])
        assert failure is None
        assert [item.metadata for item in items] == [{"label": "cat", "n": n} for n in range(ROWS - 1)] + [{}]
        assert [item.id for item in items] == [str(row) for row in range(ROWS)]


def test_images_are_read_as_they_are() -> None:
    large = bytes(LIMITS.image_bytes + 1)
    table = pa.table({"id": ["a", "b", "c"], "image": pa.array([b"one", large, None], pa.binary())})
    items, failure = read(ARROW, [written(table)])
    assert failure is None
    assert items[0].content == b"one"
    assert [one.content.code for one in items[1:] if isinstance(one.content, Failed)] == [
        "image_too_large",
        "invalid_line",
    ]


@given(st.lists(st.integers(0, 3000), max_size=12))
def test_it_reads_the_same_however_the_body_is_cut(places: list[int]) -> None:
    table = pa.table({"id": pa.array(IDS).dictionary_encode(), "vector": vectors(KINDS[0])})
    body = written(table, 2)
    items, failure = read(ARROW, cut(body, sorted(place for place in places if place <= len(body))))
    assert failure is None
    assert [item.id for item in items] == IDS
    assert numbers(items) == VECTORS.tolist()


def test_rows_that_are_none_fail_alone() -> None:
    table = pa.table(
        {
            "vector": pa.array([[1.0, 2.0], None, [1.0, None], [3.0, 4.0]], pa.list_(pa.float32())),
            "metadata": ['{"a": 1}', None, "{", "[" * 100_000],
        }
    )
    items, failure = read(ARROW, [written(table, 10)])
    assert failure is None
    codes = [item.content.code if isinstance(item.content, Failed) else "" for item in items]
    assert codes == ["", "invalid_line", "invalid_line", "invalid_line"]


REPEATED: Any = pa.dictionary(pa.int32(), pa.string())
GOOD = written(pa.table({"id": IDS, "vector": vectors(KINDS[0])}))


@pytest.mark.parametrize(
    ("columns", "says"),
    [
        ({"id": ["a"], "embedding": [[1.0]]}, "column 'embedding'. Known are id, vector, image, metadata"),
        ({"id": ["a"]}, "no column vector"),
        ({"id": [1], "vector": [[1.0]]}, "id has the type int64. It must be string"),
        ({"vector": [[1]]}, "vector has the type list<item: int64>"),
        ({"vector": ["1"]}, "vector has the type string"),
        ({"vector": [[1.0]], "metadata": [1]}, "metadata has the type int64"),
        ({"vector": pa.array([[]], pa.list_(pa.float32(), 0))}, "vector has the type fixed_size_list"),
        ({"image": ["a"]}, "image has the type string. It must be binary"),
        ({"vector": [[1.0]], "metadata": [{"tags": [None]}]}, "metadata has the type struct<tags: list"),
        (
            {"vector": [[1.0]], "metadata": pa.array([{"a": "x"}], pa.struct({"a": REPEATED}))},
            "It must be a struct of strings, numbers and booleans",
        ),
    ],
)
def test_columns_of_other_names_and_types_are_refused_by_name(columns: dict[str, Any], says: str) -> None:
    items, failure = read(ARROW, [written(pa.table(columns))])
    assert items == []
    assert isinstance(failure, ServiceError)
    assert (failure.status, failure.code) == (422, "invalid_columns")
    assert says in str(failure)


def as_file(table: pa.Table) -> bytes:
    file = io.BytesIO()
    with pa.ipc.new_file(file, table.schema) as writer:
        writer.write_table(table)
    return file.getvalue()


TABLE = pa.table({"vector": vectors(KINDS[0])})


@pytest.mark.parametrize(
    ("body", "says"),
    [
        (b"not an Arrow stream at all", "not an Arrow stream"),
        (as_file(TABLE), "files of new_file"),
        (GOOD[:-40], "ends within a message"),
        (written(TABLE, compression="lz4"), "compressed"),
        (written(TABLE, compression="zstd"), "compressed"),
        (GOOD + GOOD, "goes on after its end"),
        (GOOD[:-8] + GOOD, "several"),
        (b"\xff\xff\xff\xff" + struct.pack("<i", 2**30), "bytes of metadata"),
        (b"\xff\xff\xff\xff" + struct.pack("<i", -5), "bytes of metadata"),
        (b"\xff\xff\xff\xff" + struct.pack("<i", 16) + bytes(16), "metadata of a message"),
    ],
)
def test_what_cannot_be_read_on_is_said(body: bytes, says: str) -> None:
    _, failure = read(ARROW, cut(body, range(0, len(body), 64)))
    assert isinstance(failure, ServiceError)
    assert failure.code == "damaged_stream"
    assert says in str(failure)


@settings(max_examples=400)
@given(st.data())
def test_damage_anywhere_ends_the_stream_or_changes_values_and_breaks_nothing(data: st.DataObject) -> None:
    body = bytearray(GOOD)
    for _ in range(data.draw(st.integers(1, 6))):
        body[data.draw(st.integers(0, len(body) - 1))] = data.draw(st.integers(0, 255))
    items, failure = read(ARROW, [bytes(body)])
    assert len(items) <= LIMITS.items
    assert failure is None or failure.status in (413, 422)


def test_batches_and_rows_are_bounded() -> None:
    limits = StreamLimits(LIMITS.image_bytes, items=5, archive_bytes=1, batch_bytes=2000)
    _, failure = read(ARROW, [GOOD], limits)
    assert failure is not None
    assert failure.code == "too_many_items"
    large = written(pa.table({"vector": pa.array([[1.0] * 500], pa.list_(pa.float64(), 500))}))
    _, failure = read(ARROW, [large], limits)
    assert failure is not None
    assert "the limit is 2,000. Write smaller ones" in str(failure)
    many = pa.array([f"{number:0500}" for number in range(10)]).dictionary_encode()
    _, failure = read(ARROW, [written(pa.table({"id": many, "vector": [[1.0]] * 10}), 1)], limits)
    assert failure is not None


def test_a_batch_of_very_many_rows_is_refused() -> None:
    limits = StreamLimits(LIMITS.image_bytes, items=10**6, archive_bytes=1)
    empty = pa.array([[]], pa.list_(pa.float32()))
    rows = pa.table({"vector": pa.chunked_array([empty]).take(pa.array([0] * 65_537))})
    items, failure = read(ARROW, [written(rows, 10**6)], limits)
    assert items == []
    assert failure is not None
    assert "has 65,537 rows, the limit is 65,536" in str(failure)


def test_rows_of_a_dictionary_share_what_it_holds() -> None:
    long = "x" * 20_000
    texts = pa.array([long] * 900).dictionary_encode()
    items, failure = read(ARROW, [written(pa.table({"id": texts, "vector": [[1.0]] * 900}), 900)])
    assert failure is None
    assert len({id(item.id) for item in items}) == 1
