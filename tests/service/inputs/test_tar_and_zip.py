"""What tar and zip archives bring along, by intent or by malice."""

import io
import random
import struct
import tarfile
import zipfile
import zlib

import pytest

from service.inference.results import Failed
from service.inputs import zip as zip_stream
from service.inputs.stream import StreamLimits
from tests.service.streams import LIMITS, cut, read, tar, zipped

TAR, ZIP = "application/x-tar", "application/zip"


def failure(content: object) -> Failed:
    assert isinstance(content, Failed)
    return content


@pytest.mark.parametrize("tar_format", [tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT, tarfile.PAX_FORMAT])
def test_long_names_survive_in_every_tar_format(tar_format: int) -> None:
    deep = "/".join(["a-long-name-of-a-folder"] * 6) + "/picture.png"
    files = [("short.png", b"1"), (deep, b"2"), ("after.png", b"3")]
    items, error = read(TAR, [tar(files, tar_format)])
    assert error is None
    assert [(item.id, item.content) for item in items] == files


@pytest.mark.parametrize("tar_format", [tarfile.GNU_FORMAT, tarfile.PAX_FORMAT])
def test_names_of_any_script_and_of_no_encoding(tar_format: int) -> None:
    names = ["\N{HIRAGANA LETTER A}" * 60 + ".png", "caf\udce9.png"]
    items, error = read(TAR, [tar([(name, b"x") for name in names], tar_format)])
    assert error is None
    assert [item.id for item in items] == [names[0], "caf\\xe9.png"]


def test_a_tar_archive_is_its_regular_files() -> None:
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w", pax_headers={"comment": "a global header"}) as archive:
        for name, kind, content in [
            (".", tarfile.DIRTYPE, b""),
            ("./._a.png", tarfile.REGTYPE, b"resource fork"),
            ("./a.png", tarfile.REGTYPE, b"first"),
            ("./.DS_Store", tarfile.REGTYPE, b"views"),
            ("./notes.txt", tarfile.REGTYPE, b"not an image, and an item all the same"),
            ("./.hidden.png", tarfile.REGTYPE, b"hidden and wanted"),
        ]:
            member = tarfile.TarInfo(name)
            member.type, member.size, member.linkname = kind, len(content), "./a.png"
            archive.addfile(member, io.BytesIO(content))
    items, error = read(TAR, [file.getvalue()])
    assert error is None
    assert [item.id for item in items] == ["a.png", "notes.txt", ".hidden.png"]


def test_a_member_whose_size_stands_in_its_pax_header() -> None:
    """As for members of more than 8 GiB."""
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w", format=tarfile.PAX_FORMAT) as archive:
        member = tarfile.TarInfo("a.png")
        member.pax_headers = {"size": "700"}
        archive.addfile(member)
        file.write(b"x" * 700 + bytes(1024 - 700))
        archive.addfile(tarfile.TarInfo("b.png"))
    items, error = read(TAR, [file.getvalue()])
    assert error is None
    assert [(item.id, item.content) for item in items] == [("a.png", b"x" * 700), ("b.png", b"")]


@pytest.mark.parametrize(
    ("kind", "said"),
    [
        (tarfile.SYMTYPE, "--dereference"),
        (tarfile.LNKTYPE, "--hard-dereference"),
        (tarfile.FIFOTYPE, "named pipe"),
        (tarfile.CHRTYPE, "device"),
        (tarfile.BLKTYPE, "device"),
    ],
)
def test_a_member_that_is_not_a_file_is_named_and_not_dropped(kind: bytes, said: str) -> None:
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w") as archive:
        for name, type_ in [("a.png", tarfile.REGTYPE), ("b.png", kind), ("c.png", tarfile.REGTYPE)]:
            member = tarfile.TarInfo(name)
            member.type, member.linkname = type_, "a.png"
            archive.addfile(member)
    items, error = read(TAR, [file.getvalue()])
    assert error is None
    assert [item.id for item in items] == ["a.png", "b.png", "c.png"]
    failed = failure(items[1].content)
    assert (failed.code, said in failed.message) == ("unreadable_file", True)


@pytest.mark.parametrize(
    ("name", "item_id"),
    [
        ("photos/./a.jpg", "photos/a.jpg"),
        ("././a.jpg", "a.jpg"),
        (".//a.jpg", "a.jpg"),
        ("a/././b/./c.jpg", "a/b/c.jpg"),
        ("/a/./b.jpg", "/a/b.jpg"),
        (".a/..b/c..jpg", ".a/..b/c..jpg"),
        ("a/../b.jpg", "a/../b.jpg"),
    ],
)
def test_dots_between_slashes_are_left_out_of_ids(name: str, item_id: str) -> None:
    for kind, body in ((TAR, tar([(name, b"1")])), (ZIP, zipped([(name, b"1")]))):
        items, error = read(kind, [body])
        assert error is None
        assert [item.id for item in items] == [item_id]


FIRST, SECOND = [("a.png", b"1" * 700), ("b.png", b"2")], [("c.png", b"3"), ("a.png", b"4" * 512)]


@pytest.mark.parametrize("padding", [0, 512, 10240, 10_000_000 // 512 * 512])
def test_archives_that_were_joined_are_read_one_after_the_other(padding: int) -> None:
    body = tar(FIRST) + bytes(padding) + tar(SECOND) + bytes(padding)
    for places in ([], [1, 700, 5000, 10_241], range(0, len(body), 4096 + 7)):
        items, error = read(TAR, cut(body, places))
        assert error is None
        assert [(item.id, item.content) for item in items] == FIRST + SECOND


def test_archives_joined_without_their_padding_are_read_too() -> None:
    short = tar(FIRST)[: 512 * (1 + 2 + 1 + 1 + 1)]
    items, error = read(TAR, [short + tar(SECOND)])
    assert error is None
    assert [(item.id, item.content) for item in items] == FIRST + SECOND
    # The second one is cut short: that is seen although the first one had an end.
    assert read(TAR, [tar(FIRST) + tar(SECOND)[:700]])[1] is not None


def test_what_follows_the_end_mark_and_is_not_an_archive_is_named() -> None:
    items, error = read(TAR, [tar(FIRST), b"\1" * 5000])
    assert [item.id for item in items] == ["a.png", "b.png"]
    assert error is not None
    assert (error.code, "follows its end mark" in str(error)) == ("damaged_stream", True)


def test_members_without_content_are_counted_too() -> None:
    limits = StreamLimits(LIMITS.image_bytes, items=10, archive_bytes=1)
    folder = tarfile.TarInfo("folder")
    folder.type = tarfile.DIRTYPE
    assert read(TAR, [folder.tobuf() * 10 + tar(FIRST)], limits)[1] is None
    _, error = read(TAR, [folder.tobuf() * 11 + tar(FIRST)], limits)
    assert "more than 10 members" in str(error)


@pytest.mark.parametrize("kind", [TAR, ZIP, "multipart/form-data; boundary=b"])
def test_an_empty_body_is_called_empty(kind: str) -> None:
    items, error = read(kind, [b""])
    assert items == []
    assert error is not None
    assert (error.code, "the body is empty" in str(error)) == ("damaged_stream", True)


@pytest.mark.parametrize(
    ("archive", "reason"),
    [
        (b"not a tar archive at all" * 50, "invalid"),
        (tar([("x" * 300, b"1")], tarfile.GNU_FORMAT).replace(b"00000000455", b"77777777777"), "invalid"),
    ],
)
def test_a_damaged_header_ends_the_stream(archive: bytes, reason: str) -> None:
    items, error = read(TAR, [archive])
    assert items == []
    assert error is not None
    assert reason in str(error)


def test_a_name_of_absurd_length_is_not_believed() -> None:
    header = tarfile.TarInfo("././@LongLink")
    header.type, header.size = tarfile.GNUTYPE_LONGNAME, 2**30
    items, error = read(TAR, [header.tobuf(tarfile.GNU_FORMAT)])
    assert items == []
    assert "claims 1,073,741,824 bytes" in str(error)


@pytest.mark.parametrize("method", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
def test_a_zip_archive_is_its_files(method: int) -> None:
    files = [
        ("photos/", b""),
        ("photos/a.png", b"first"),
        ("__MACOSX/photos/._a.png", b"resource fork"),
        ("photos/\N{HIRAGANA LETTER A}.png", b"second"),
    ]
    items, error = read(ZIP, [zipped(files, method)])
    assert error is None
    assert [(item.id, item.content) for item in items] == [files[1], files[3]]


def test_a_zip_bomb_stops_at_the_limit_of_an_image() -> None:
    bomb = zipped([("bomb", bytes(50_000_000)), ("a.png", b"1")])
    assert len(bomb) < 60_000
    items, error = read(ZIP, [bomb])
    assert error is None
    assert failure(items[0].content).code == "image_too_large"
    assert items[1].content == b"1"


def test_a_member_of_a_zip_archive_may_not_inflate_to_a_hundred_times_its_size(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(zip_stream, "_UNSUSPICIOUS_BYTES", 10_000)
    noise = random.Random(1).randbytes(30_000)
    items, error = read(ZIP, [zipped([("plain", bytes(10_000)), ("bomb", bytes(30_000)), ("noise", noise)])])
    assert error is None
    plain, bomb, last = (item.content for item in items)
    assert (plain, last) == (bytes(10_000), noise)
    assert failure(bomb).code == "corrupt_image"
    assert "more than 100 times its size" in failure(bomb).message


def test_a_size_in_a_zip_header_is_not_believed() -> None:
    body = bytearray(zipped([("bomb", bytes(1_000_000)), ("a.png", b"1")]))
    for place in (body.find(b"PK\3\4") + 22, body.find(b"PK\1\2") + 24):
        body[place : place + 4] = struct.pack("<I", 100)
    items, error = read(ZIP, [bytes(body)])
    assert error is None
    assert isinstance(items[0].content, Failed)
    assert items[1].content == b"1"


def test_members_that_cannot_be_read_fail_alone() -> None:
    good = b"some bytes of an image" * 20
    body = bytearray(zipped([("a", good), ("b", good), ("c", good), ("d", good)], zipfile.ZIP_STORED))
    body[body.find(good)] ^= 1
    directory = [at for at in range(len(body)) if body[at : at + 4] == b"PK\1\2"]
    body[directory[1] + 8] |= 1
    body[directory[2] + 10] = zipfile.ZIP_LZMA
    items, error = read(ZIP, [bytes(body)])
    assert error is None
    reasons = [failure(item.content).message for item in items[:3]]
    assert "CRC" in reasons[0]
    assert "encrypted" in reasons[1]
    assert "method 14" in reasons[2]
    assert {failure(item.content).code for item in items[:3]} == {"corrupt_image"}
    assert items[3].content == good


def overlapping(copies: int) -> bytes:
    """An archive whose directory names one member many times."""
    body = zipped([("bomb", bytes(100_000))])
    start, end = body.index(b"PK\1\2"), body.index(b"PK\5\6")
    entry = body[start:end]
    tail = body[end : end + 8] + struct.pack("<HHIIH", copies, copies, len(entry) * copies, start, 0)
    return body[:start] + entry * copies + tail


def test_members_of_a_zip_archive_that_share_their_bytes_are_refused() -> None:
    assert read(ZIP, [overlapping(1)])[1] is None
    items, error = read(ZIP, [overlapping(1000)])
    assert items == []
    assert error is not None
    assert (error.code, "overlaps" in str(error)) == ("damaged_stream", True)


def test_members_that_only_overlap_in_part_are_refused_too() -> None:
    body = bytearray(zipped([("a", b"x" * 90), ("b", b"y" * 90)], zipfile.ZIP_STORED))
    size = body.index(b"PK\1\2") + 20
    body[size : size + 4] = struct.pack("<I", 91)
    _, error = read(ZIP, [bytes(body)])
    assert "'a' of the zip archive overlaps" in str(error)


def test_a_zip_archive_over_its_limit_is_refused_before_it_is_complete() -> None:
    limits = StreamLimits(LIMITS.image_bytes, LIMITS.items, archive_bytes=1000)
    body = zipped([("a", zlib.compress(bytes(range(256)) * 100, 0))], zipfile.ZIP_STORED)
    items, error = read(ZIP, [body[:2000]], limits)
    assert items == []
    assert error is not None
    assert (error.status, error.code, error.setting) == (
        413,
        "archive_too_large",
        "INFOMAX_MAX_ARCHIVE_BYTES",
    )


def test_a_zip_directory_of_absurd_size_is_not_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(zip_stream, "_DIRECTORY_BYTES", 1000)
    items, error = read(ZIP, [zipped([(f"{number:050}", b"") for number in range(100)])])
    assert items == []
    assert error is not None
    assert error.code == "damaged_stream"
    assert "send the files as tar" in str(error)


def test_a_large_zip_archive_goes_through_a_file() -> None:
    files = [(f"{number}.png", bytes([number]) * 90_000) for number in range(100)]
    items, error = read(ZIP, [zipped(files, zipfile.ZIP_STORED)])
    assert error is None
    assert [(item.id, item.content) for item in items] == files
