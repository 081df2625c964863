"""Images as text."""

import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.errors import ServiceError
from service.inputs.base64_image import decode_text


@given(st.binary(max_size=200), st.sampled_from(["", "data:image/png;base64,", "DATA:;Base64,"]))
def test_bytes_come_out_as_they_went_in(data: bytes, prefix: str) -> None:
    assert decode_text(prefix + base64.b64encode(data).decode(), "input") == data


def test_lines_as_the_base64_program_breaks_them_are_read() -> None:
    data = bytes(range(200))
    assert decode_text(base64.encodebytes(data).decode(), "input") == data


@pytest.mark.parametrize("link", ["http://example.org/a.jpg", "HTTPS://example.org/a.jpg"])
def test_nothing_is_fetched(link: str) -> None:
    with pytest.raises(ServiceError, match=r"^input\[2\] is a link") as caught:
        decode_text(link, "input[2]")
    assert (caught.value.status, caught.value.code) == (422, "url_not_fetched")


@pytest.mark.parametrize(
    ("value", "says"),
    [
        (7, "is a number"),
        (None, "is null"),
        (True, "is true or false"),
        ({"url": "x"}, "is an object"),
        (["AAAA"], "is a list"),
        ("a cat", "(starting 'a cat') is not base64"),
        ("AAA", "Incorrect padding"),
        ("QUJD=QUJD", "is not base64"),
        ("Ã¼ä", "is not base64"),
        ("data:image/png,AAAA", "not of the form"),
        ("data:", "not of the form"),
    ],
)
def test_what_is_no_base64_is_refused_with_the_reason(value: object, says: str) -> None:
    with pytest.raises(ServiceError) as caught:
        decode_text(value, "input")
    assert (caught.value.status, caught.value.code) == (422, "invalid_base64")
    assert str(caught.value).startswith("input ")
    assert says in str(caught.value)
