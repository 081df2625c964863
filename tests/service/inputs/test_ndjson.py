"""What a line of an NDJSON stream may be."""

import base64

import orjson
import pytest

from service.inference.results import Failed
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
    assert [item.content for item in items] == [IMAGE, IMAGE, BareVector([1, 2.5])]
    assert [item.metadata for item in items] == [{}, {"label": "cat"}, {}]


@pytest.mark.parametrize(
    ("line", "code", "reason"),
    [
        (b"{", "invalid_line", "is no JSON"),
        (b"[1]", "invalid_line", "is no JSON object"),
        (b"\xff\xfe{}", "invalid_line", "is no JSON"),
        (b"{}", "invalid_line", "one of image and vector"),
        (b'{"image": "", "vector": []}', "invalid_line", "one of image and vector"),
        (b'{"image": "AA==", "lable": "cat"}', "invalid_line", "'lable'; known are id, image"),
        (b'{"id": 7, "image": "AA=="}', "invalid_line", "has the id '7', which is no string"),
        (b'{"image": 7}', "invalid_base64", "image must be a string"),
        (b'{"image": "not base64!"}', "invalid_base64", "is no base64"),
        (b'{"image": "https://example.org/a.png"}', "url_not_fetched", "fetches nothing"),
    ],
)
def test_a_bad_line_fails_alone_and_is_named(line: bytes, code: str, reason: str) -> None:
    good = orjson.dumps({"id": "good", "image": TEXT})
    # Lines are counted as an editor counts them; empty ones are no items.
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
