"""What holds for streams of every format: order, names, limits, damage, and pieces of any size."""

import asyncio
import gc
import random
from collections.abc import Iterator
from contextlib import aclosing, suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.errors import ServiceError
from service.inference.results import Failed
from service.inputs.formats import reader_for
from service.inputs.image_buffer import ImageBuffer
from service.inputs.stream import StreamLimits, StreamParser
from tests.service.streams import BOUNDARY, FORMATS, LIMITS, cut, multipart, ndjson, pieces_of, read, zipped

FILES = [("a.png", b"first"), ("dir/b.png", b"\r\n--" + b"\0" * 700), ("c.png", b""), ("a.png", b"{}\n")]

every_format = pytest.mark.parametrize("name", FORMATS)


@every_format
def test_items_come_in_order_with_their_names(name: str) -> None:
    content_type, pack = FORMATS[name]
    items, error = read(content_type, [pack(FILES)])
    assert error is None
    assert [(item.id, item.content) for item in items] == FILES
    assert [item.index for item in items] == [0, 1, 2, 3]


@every_format
def test_an_empty_stream_has_no_items(name: str) -> None:
    content_type, pack = FORMATS[name]
    assert read(content_type, [pack([])]) == ([], None)


@every_format
@given(st.data())
def test_where_the_network_cuts_the_body_changes_nothing(name: str, data: st.DataObject) -> None:
    content_type, pack = FORMATS[name]
    body = pack(FILES)
    places = data.draw(st.lists(st.integers(0, len(body)), max_size=12))
    assert read(content_type, cut(body, places)) == read(content_type, [body])


@every_format
def test_a_body_that_comes_byte_by_byte_is_read_all_the_same(name: str) -> None:
    content_type, pack = FORMATS[name]
    body = pack(FILES)
    assert read(content_type, cut(body, range(1, len(body)))) == read(content_type, [body])


@pytest.mark.parametrize(
    ("name", "end"),
    [
        # Up to where the format says that it is over; what stands behind that means nothing.
        ("multipart", len(multipart(FILES)) - len("\r\n")),
        ("tar", 512 * (4 + 4 + 1)),
        ("zip", len(zipped(FILES))),
    ],
)
def test_a_stream_that_was_cut_short_is_never_taken_for_a_whole_one(name: str, end: int) -> None:
    content_type, pack = FORMATS[name]
    body, whole = pack(FILES), read(content_type, [pack(FILES)])[0]
    for length in range(end):
        items, error = read(content_type, [body[:length]])
        assert items == whole[: len(items)]
        assert error is not None, length
        assert error.code == "damaged_stream"
    assert read(content_type, [body[: end + 511]])[1] is None


def test_the_last_line_of_a_stream_that_was_cut_short_fails() -> None:
    body = ndjson(FILES)
    whole = read("application/x-ndjson", [body])[0]
    for length in range(len(body)):
        items, error = read("application/x-ndjson", [body[:length]])
        assert error is None
        *complete, last = items if items else [None]
        assert complete == whole[: len(complete)]
        if last is not None and last != whole[len(complete)]:
            assert isinstance(last.content, Failed)
            assert last.content.code == "invalid_line"


@every_format
def test_damage_of_any_kind_ends_in_a_sentence(name: str) -> None:
    content_type, pack = FORMATS[name]
    body = pack([*FILES, ("d.png", bytes(range(256)) * 4)])
    chance = random.Random(0)
    for _ in range(400):
        damaged = bytearray(body)
        for _ in range(chance.randint(1, 8)):
            damaged[chance.randrange(len(body))] = chance.randrange(256)
        items, error = read(content_type, [bytes(damaged)])
        assert [item.index for item in items] == list(range(len(items)))
        assert error is None or error.status in (413, 422)


@pytest.fixture(scope="module")
def nothing_older() -> Iterator[None]:
    """The collector no longer looks through what there was before, which takes long where torch is loaded."""
    gc.collect()
    gc.freeze()
    yield
    gc.unfreeze()


@pytest.mark.usefixtures("nothing_older")
@every_format
@pytest.mark.parametrize("groups", [None, 1])
@pytest.mark.parametrize("end", [None, -1, 1100, 3])
def test_a_stream_leaves_nothing_to_the_cycle_collector(
    name: str, end: int | None, groups: int | None
) -> None:
    """Read whole, cut short, or left after some groups."""
    content_type, pack = FORMATS[name]
    pieces = cut(pack(FILES)[:end], [900])

    async def run() -> None:
        reader = reader_for(content_type.split(";")[0])
        with suppress(ServiceError):
            async with aclosing(reader(pieces_of(pieces), content_type, LIMITS)) as found:
                seen = 0
                async for _ in found:
                    seen += 1
                    if seen == groups:
                        break

    gc.collect()
    gc.disable()
    try:
        asyncio.run(run())
        # By type: what other modules have left may answer a question for its class with a warning.
        kinds = [type(one) for one in gc.get_objects()]
        assert [kind for kind in kinds if issubclass(kind, StreamParser | ImageBuffer)] == []
    finally:
        gc.enable()


@every_format
def test_an_image_over_the_limit_fails_alone(name: str) -> None:
    content_type, pack = FORMATS[name]
    files = [("a", b"1"), ("huge", b"\1" * 2_000_000), ("limit", b"\2" * LIMITS.image_bytes), ("z", b"3")]
    items, error = read(content_type, [pack(files)])
    assert error is None
    assert len(items) == 4
    assert [item.content for item in items if isinstance(item.content, bytes)] == [
        content for name, content in files if name != "huge"
    ]
    failed = items[1].content
    assert isinstance(failed, Failed)
    assert (failed.code, failed.limit) == ("image_too_large", LIMITS.image_bytes)
    assert "INFOMAX_MAX_IMAGE_BYTES" in failed.message


@every_format
def test_a_stream_over_the_limit_is_answered_up_to_it(name: str) -> None:
    content_type, pack = FORMATS[name]
    limits = StreamLimits(image_bytes=100_000, items=3, archive_bytes=10_000_000)
    items, error = read(content_type, [pack(FILES)], limits)
    assert [item.id for item in items] == ["a.png", "dir/b.png", "c.png"]
    assert error is not None
    assert (error.status, error.code, error.limit) == (413, "too_many_items", 3)
    assert error.setting == "INFOMAX_MAX_STREAM_ITEMS"
    assert read(content_type, [pack(FILES[:3])], limits)[1] is None


@pytest.mark.parametrize(
    ("kind", "advice"),
    [
        ("image/png", "/v1/embeddings"),
        ("application/gzip", "Content-Encoding: gzip"),
        ("application/json", "application/x-ndjson"),
        ("", "multipart/form-data"),
    ],
)
def test_a_body_that_is_no_stream_is_refused_with_advice(kind: str, advice: str) -> None:
    with pytest.raises(ServiceError, match=advice) as refused:
        reader_for(kind)
    assert (refused.value.status, refused.value.code) == (415, "unsupported_media_type")


def test_multipart_needs_a_boundary() -> None:
    for content_type in ("multipart/form-data", f"multipart/form-data; boundary={'x' * 5000}"):
        items, error = read(content_type, [multipart(FILES)])
        assert items == []
        assert error is not None
        assert error.code == "damaged_stream"
        assert "boundary" in str(error).lower()


def test_a_text_field_in_a_multipart_stream_is_refused_and_not_overlooked() -> None:
    field = f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="outputs"\r\n\r\nmi_map\r\n'.encode()
    items, error = read(FORMATS["multipart"][0], [field + multipart(FILES)])
    assert items == []
    assert error is not None
    assert error.code == "invalid_parameter"
    assert "'outputs'" in str(error)


def test_a_part_without_a_file_name_has_its_field_s() -> None:
    body = multipart([("a.png", b"x")]).replace(b'; filename="a.png"', b"")
    items, error = read(FORMATS["multipart"][0], [body])
    assert error is None
    assert [(item.id, item.content) for item in items] == [("image", b"x")]


def test_names_that_are_no_utf8_stay_apart() -> None:
    body = multipart([("caf\N{LATIN SMALL LETTER E WITH ACUTE}.png", b"1")])
    latin = body.replace("\N{LATIN SMALL LETTER E WITH ACUTE}".encode(), b"\xe9")
    items, _ = read(FORMATS["multipart"][0], [latin])
    assert items[0].id == "caf\\xe9.png"
