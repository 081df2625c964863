"""Bodies that browsers, curl and HTTP libraries send, and bodies that nobody should."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.errors import ServiceError
from service.inputs.multipart import MOST_FIELDS, parse_multipart

TYPE = "multipart/form-data; boundary=frontier"


def part(content: bytes, name: str = "image", more: str = '; filename="a.jpg"') -> bytes:
    disposition = f'Content-Disposition: form-data; name="{name}"{more}'
    return b"--frontier\r\n" + disposition.encode() + b"\r\n\r\n" + content + b"\r\n"


def body(*parts: bytes) -> bytes:
    return b"".join(parts) + b"--frontier--\r\n"


def refusal(content_type: str, content: bytes, most_files: int = 8) -> ServiceError:
    with pytest.raises(ServiceError) as caught:
        parse_multipart(content_type, content, most_files)
    return caught.value


@given(st.lists(st.binary(max_size=200), max_size=6))
def test_parts_come_out_as_they_went_in(contents: list[bytes]) -> None:
    parts = parse_multipart(TYPE, body(*(part(content) for content in contents)), 8)
    assert [one.content for one in parts] == contents
    assert all(one.is_file and one.name == "image" for one in parts)


@given(st.lists(st.sampled_from([b"\r\n", b"--", b"frontier", b"-", b"\r", b"x"]), max_size=12))
def test_content_that_resembles_the_boundary_stays_content(pieces: list[bytes]) -> None:
    content = b"".join(pieces)
    if b"\r\n--frontier" in b"\r\n" + content:
        return
    (only,) = parse_multipart(TYPE, body(part(content)), 8)
    assert only.content == content


def test_a_file_is_what_has_a_file_name_or_the_type_of_one() -> None:
    typed = (
        b'--frontier\r\nContent-Type: image/png\r\nContent-Disposition: form-data; name="a"\r\n\r\nP\r\n'
        b'--frontier\r\ncontent-disposition: form-data; name="b"\r\nContent-Type: text/plain\r\n\r\nT\r\n'
    )
    parts = parse_multipart(TYPE, body(typed, part("ü".encode(), name="c", more="")), 8)
    assert [(one.name, one.is_file) for one in parts] == [("a", True), ("b", False), ("c", False)]
    assert parts[2].text == "ü"


def test_a_field_that_is_no_text_is_refused() -> None:
    (field,) = parse_multipart(TYPE, body(part(b"\xff", more="")), 8)
    with pytest.raises(ServiceError, match=r"image is not UTF-8"):
        _ = field.text


def test_a_body_without_parts_has_none() -> None:
    assert parse_multipart(TYPE, body(), 8) == []


@pytest.mark.parametrize(
    ("content_type", "content", "says"),
    [
        ("multipart/form-data", body(part(b"x")), "no boundary"),
        ("multipart/form-data; boundary=", body(part(b"x")), "no boundary"),
        (f"multipart/form-data; boundary={'b' * 300}", body(part(b"x")), "oundary"),
        (TYPE, body(part(b"x"))[:-6], "stops before its last boundary"),
        (TYPE, b"", "body is empty"),
        (TYPE, b"something else", "oundary"),
        (TYPE, b"--frontier\r\nContent-Type: image/png\r\n\r\nx\r\n--frontier--\r\n", "no name"),
    ],
)
def test_what_cannot_be_taken_apart_is_refused_with_the_reason(
    content_type: str, content: bytes, says: str
) -> None:
    error = refusal(content_type, content)
    assert (error.status, error.code) == (400, "malformed_multipart")
    assert says in str(error)


def test_too_many_parts_are_refused_while_reading() -> None:
    error = refusal(TYPE, body(*[part(b"")] * (8 + MOST_FIELDS + 1)), most_files=8)
    assert (error.status, error.code, error.limit) == (413, "too_many_items", 8)


@given(st.binary(max_size=300))
def test_no_bytes_are_worse_than_malformed(content: bytes) -> None:
    try:
        parse_multipart(TYPE, b"--frontier\r\n" + content, 8)
    except ServiceError as error:
        assert error.status in (400, 413)
