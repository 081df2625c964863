"""What a line of an NDJSON stream may be."""

import base64

import numpy as np
import orjson
import pytest

from service.inference.results import Failed
from service.inputs.ndjson import NdjsonParser
from service.inputs.stream import BareVector, StreamLimits
from tests.service.streams import cut, read

NDJSON = "application/x-ndjson"
IMAGE = b"\xff\xd8 an image's bytes"
TEXT = base64.b64encode(IMAGE).decode()


@pytest.mark.parametrize("kind", [NDJSON, "application/jsonl", "application/ndjson; charset=utf-8"])
def test_a_line_holds_an_image_or_a_vector(kind: str) -> None:
    lines = [
        {"image": TEXT},
        {"id": "b", "image": f"data:image/jpeg;base64,{TEXT}", "metadata": {"label": "cat"}},
        {"id": None, "vector": [1, 2.5], "metadata": None},
    ]
    items, error = read(kind, [b"\r\n".join(map(orjson.dumps, lines))])
    assert error is None
    assert [item.id for item in items] == ["0", "b", "2"]
    assert [item.content for item in items[:2]] == [IMAGE, IMAGE]
    vector = items[2].content
    assert isinstance(vector, BareVector)
    assert isinstance(vector.numbers, np.ndarray)
    assert vector.numbers.tolist() == [1, 2.5]
    assert [item.metadata for item in items] == [{}, {"label": "cat"}, {}]


@pytest.mark.parametrize(
    ("line", "code", "reason"),
    [
        (b"{", "invalid_line", "is not JSON"),
        (b"[1]", "invalid_line", "is a list and not an object"),
        (b"\xff\xfe{}", "invalid_line", "is not JSON"),
        (b"{}", "invalid_line", "one of image and vector"),
        (b'{"image": "", "vector": []}', "invalid_line", "one of image and vector"),
        (b'{"image": "AA==", "lable": "cat"}', "invalid_line", "'lable': known are id, image"),
        (b'{"id": true, "image": "AA=="}', "invalid_line", "has the id true, which is not a string"),
        (b'{"id": 7, "image": "AA=="}', "invalid_line", "has the id 7, which is not a string"),
        (b'{"image": 7}', "invalid_base64", "image must be a string"),
        (b'{"image": "not base64!"}', "invalid_base64", "is not base64"),
        (b'{"image": "https://example.org/a.png"}', "url_not_fetched", "fetches nothing"),
    ],
)
def test_a_bad_line_fails_alone_and_is_named(line: bytes, code: str, reason: str) -> None:
    good = orjson.dumps({"id": "good", "image": TEXT})
    # Lines are counted as an editor counts them; empty ones are not items.
    items, error = read(NDJSON, [b"\n".join([good, b"", b"  \t", line, good])])
    assert error is None
    assert [item.content for item in (items[0], items[2])] == [IMAGE, IMAGE]
    failed = items[1].content
    assert isinstance(failed, Failed)
    assert failed.code == code
    assert "line 4" in failed.message.lower()
    assert reason in failed.message


def test_a_bad_image_keeps_the_line_s_id() -> None:
    (item,), _ = read(NDJSON, [b'{"id": "mine", "image": "?"}'])
    assert item.id == "mine"


def test_a_line_that_is_too_long_is_read_past() -> None:
    limits = StreamLimits(image_bytes=1000, items=10, archive_bytes=1)
    good = orjson.dumps({"image": TEXT})
    endless = b'{"image": "' + b"A" * 5_000_000 + b'"}'
    body = b"\n".join([good, endless, good])
    whole = read(NDJSON, [body], limits)
    assert read(NDJSON, cut(body, range(0, len(body), 65536)), limits) == whole
    items, error = whole
    assert error is None
    assert [item.content for item in (items[0], items[2])] == [IMAGE, IMAGE]
    failed = items[1].content
    assert isinstance(failed, Failed)
    assert (failed.code, failed.limit) == ("image_too_large", 1000)
    assert f"line 2, which has {len(endless):,} bytes" in failed.message


def test_the_last_line_needs_no_end() -> None:
    line = orjson.dumps({"image": TEXT})
    assert read(NDJSON, [line]) == read(NDJSON, [line + b"\n"])


@pytest.mark.parametrize("start", [b"\xef\xbb\xbf", b"\xef\xbb\xbf\n", b"\xef\xbb\xbf  \r\n"])
def test_a_byte_order_mark_is_skipped_however_it_arrives(start: bytes) -> None:
    line = orjson.dumps({"image": TEXT})
    whole = read(NDJSON, [start + line + b"\n" + line])
    assert [item.content for item in whole[0]] == [IMAGE, IMAGE]
    assert whole[1] is None
    assert read(NDJSON, cut(start + line + b"\n" + line, range(0, 100, 1))) == whole


@pytest.mark.parametrize("empty", [b"\n", b"\r\n", b" \t\n", b"\n \n"])
def test_empty_lines_are_counted_but_not_looked_at_one_by_one(
    empty: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    looked_at: list[bytes] = []
    read_line = NdjsonParser._read

    def watched(parser: NdjsonParser, line: bytes) -> None:
        looked_at.append(line)
        read_line(parser, line)

    monkeypatch.setattr(NdjsonParser, "_read", watched)
    body = orjson.dumps({"image": TEXT}) + b"\n" + empty * 10_000 + b"{"
    limits = StreamLimits(image_bytes=1000, items=20_000, archive_bytes=1)
    items, error = read(NDJSON, cut(body, range(0, len(body), 1000)), limits)
    assert error is None
    failed = items[1].content
    assert isinstance(failed, Failed)
    number = 2 + body[:-1].count(b"\n") - 1
    assert f"Line {number} " in failed.message
    # One at most for each piece: a line that is cut in two.
    assert len(looked_at) <= 3 + len(body) // 1000


def test_more_empty_lines_than_items_end_the_stream() -> None:
    limits = StreamLimits(image_bytes=1000, items=10, archive_bytes=1)
    line = orjson.dumps({"image": TEXT}) + b"\n"
    assert read(NDJSON, [line + b"\n" * 10 + line], limits)[1] is None
    items, error = read(NDJSON, [line, b"\n" * 11 + line], limits)
    assert len(items) == 1
    assert error is not None
    assert (error.code, "more than 10 empty lines" in str(error)) == ("damaged_stream", True)


def test_an_integer_of_more_than_64_bits_reaches_the_rules_for_metadata() -> None:
    (item,), _ = read(NDJSON, [b'{"image": "AA==", "metadata": {"a": 18446744073709551616}}'])
    assert item.metadata == {"a": 2**64}
