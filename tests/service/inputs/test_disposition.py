"""Names of form parts in every way that senders write them."""

import pytest

from service.inputs.disposition import Disposition
from service.inputs.multipart import parse_multipart
from tests.service.streams import read

JAPANESE = "\N{CJK UNIFIED IDEOGRAPH-65E5}\N{CJK UNIFIED IDEOGRAPH-672C}.jpg"
ESCAPED = "%E6%97%A5%E6%9C%AC.jpg"


@pytest.mark.parametrize(
    ("rest", "filename"),
    [
        ('; filename="a.jpg"', "a.jpg"),
        (f"; filename*=utf-8''{ESCAPED}", JAPANESE),
        (f"; filename*=UTF-8'ja'{ESCAPED}", JAPANESE),
        (f"; FileName*=utf-8''{ESCAPED}", JAPANESE),
        (f"; filename=\"=?utf-8?B?5pel5pys?=\"; filename*=utf-8''{ESCAPED}", JAPANESE),
        (f"; filename*=utf-8''{ESCAPED}; filename=\"fallback.jpg\"", JAPANESE),
        ("; filename*=iso-8859-1''caf%E9.jpg", "caf\u00e9.jpg"),
        ("; filename*=utf-8''caf%E9.jpg", "caf\\xe9.jpg"),
        ("; filename*=klingon''x.jpg; filename=plain.jpg", "plain.jpg"),
        ("; filename=\"a; filename*=utf-8''b.jpg\"", "a; filename*=utf-8''b.jpg"),
        ("", ""),
    ],
)
def test_the_extended_name_counts_before_the_plain_one(rest: str, filename: str) -> None:
    disposition = Disposition({b"content-disposition": f'form-data; name="image"{rest}'.encode()})
    assert (disposition.name, disposition.filename) == ("image", filename)
    assert disposition.is_file == bool(filename)


def body_of_dotnet() -> bytes:
    """What HttpClient of .NET sends: no quotes around the field's name, two names of the file."""
    return (
        "--ab\r\nContent-Type: image/jpeg\r\nContent-Disposition: form-data; name=image; "
        f"filename=\"=?utf-8?B?5pel5pys?=\"; filename*=utf-8''{ESCAPED}\r\n\r\nBYTES\r\n--ab--\r\n"
    ).encode()


def test_a_form_of_dotnet_is_read_as_a_stream_and_as_a_request() -> None:
    kind = 'multipart/form-data; boundary="ab"'
    items, error = read(kind, [body_of_dotnet()])
    assert error is None
    assert [(item.id, item.content) for item in items] == [(JAPANESE, b"BYTES")]
    (part,) = parse_multipart(kind, body_of_dotnet(), 1)
    assert (part.name, part.is_file, part.content) == ("image", True, b"BYTES")


def test_a_file_with_nothing_but_an_extended_name_is_a_file() -> None:
    body = (
        f"--ab\r\nContent-Disposition: form-data; name=x; filename*=utf-8''{ESCAPED}\r\n\r\nB\r\n--ab--\r\n"
    )
    items, error = read("multipart/form-data; boundary=ab", [body.encode()])
    assert error is None
    assert [item.id for item in items] == [JAPANESE]
