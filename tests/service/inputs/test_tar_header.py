"""A header is read as the standard library reads it."""

import tarfile
from typing import Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.inputs.tar_header import TarHeaderError, read_header

KINDS = st.sampled_from(
    [
        tarfile.REGTYPE,
        tarfile.AREGTYPE,
        tarfile.DIRTYPE,
        tarfile.SYMTYPE,
        tarfile.XHDTYPE,
        tarfile.GNUTYPE_LONGNAME,
        tarfile.GNUTYPE_LONGLINK,
    ]
)
FORMATS: st.SearchStrategy[Literal[0, 1]] = st.sampled_from([tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT])
NAMES = st.one_of(
    st.text(st.characters(min_codepoint=33, max_codepoint=0x2FF), min_size=1, max_size=40),
    st.lists(st.sampled_from(["folder", "pictures", "of-a-journey"]), min_size=1, max_size=12).map("/".join),
    st.just("folder/"),
)


@st.composite
def blocks(draw: st.DrawFn) -> bytes:
    header = tarfile.TarInfo(draw(NAMES))
    header.type = draw(KINDS)
    form = draw(FORMATS)
    largest = 8**11 - 1 if form == tarfile.USTAR_FORMAT else 2**62
    header.size = draw(st.integers(0, largest))
    # The last block is the member's own; others before it bring a long name.
    return header.tobuf(form, "utf-8", "surrogateescape")[-512:]


@given(blocks())
def test_name_size_and_type_are_those_of_the_standard_library(block: bytes) -> None:
    theirs = tarfile.TarInfo.frombuf(block, "utf-8", "surrogateescape")
    ours = read_header(block)
    assert ours.name == theirs.name.encode("utf-8", "surrogateescape")
    assert (ours.size, ours.type) == (theirs.size, theirs.type)


@given(blocks(), st.integers(0, 511), st.integers(1, 255))
def test_one_changed_byte_never_goes_unseen(block: bytes, place: int, change: int) -> None:
    damaged = bytearray(block)
    damaged[place] ^= change
    try:
        theirs = tarfile.TarInfo.frombuf(bytes(damaged), "utf-8", "surrogateescape")
    except tarfile.HeaderError:
        with pytest.raises(TarHeaderError):
            read_header(bytes(damaged))
    else:
        # A change of the checksum's own padding changes nothing.
        assert read_header(bytes(damaged)).size == theirs.size


@given(st.binary(min_size=512, max_size=512))
def test_other_blocks_are_no_headers(block: bytes) -> None:
    with pytest.raises(TarHeaderError):
        read_header(block)


def signed(block: bytes) -> bytes:
    """The same header with the checksum of programs whose characters have a sign."""
    rest = block[:148] + b" " * 8 + block[156:]
    total = sum(byte - 256 * (byte > 127) for byte in rest)
    return block[:148] + f"{total:06o}\0 ".encode() + block[156:]


def with_size(field: bytes) -> bytes:
    block = tarfile.TarInfo("a.png").tobuf(tarfile.USTAR_FORMAT)
    return signed(block[:124] + field + block[136:])


def test_checksums_of_signed_bytes_count() -> None:
    block = tarfile.TarInfo("\N{LATIN SMALL LETTER E WITH ACUTE}.png").tobuf(tarfile.GNU_FORMAT, "utf-8")
    assert signed(block) != block
    assert read_header(signed(block)) == read_header(block)


@pytest.mark.parametrize(
    "field", [b"00000000009\0", b"0x000000010\0", b"1_0\0\0\0\0\0\0\0\0\0", b"\xff" * 12]
)
def test_a_size_that_is_none_is_refused(field: bytes) -> None:
    with pytest.raises(TarHeaderError):
        read_header(with_size(field))


def test_a_size_of_many_gigabytes_is_read() -> None:
    assert read_header(with_size(b"\x80" + (2**40).to_bytes(11, "big"))).size == 2**40
