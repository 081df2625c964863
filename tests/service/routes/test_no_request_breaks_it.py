"""Whatever bytes a client sends, in whatever form, the answer is his fault or none."""

import asyncio
import base64
import json
from contextlib import AsyncExitStack
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from tests.pictures import photo
from tests.service.client import client

ROUTES = (
    ("POST", "/v1/embeddings"),
    ("POST", "/v1/mi-maps"),
    ("POST", "/v1/neighbours"),
    ("PUT", "/v1/items/x"),
    ("POST", "/v2/models/tiny/infer"),
)
PHOTO = photo()
TYPES = (
    "",
    "image/jpeg",
    "application/octet-stream",
    "application/json",
    "application/x-www-form-urlencoded",
    "multipart/form-data; boundary=b",
    "multipart/form-data",
    "text/plain",
)
NAMES = (
    "input",
    "image",
    "reference",
    "id",
    "vector",
    "k",
    "filter",
    "explain",
    "metadata",
    "model",
    "user",
    "encoding_format",
    "dimensions",
)

scalars = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(),
    st.text(max_size=8),
    st.just("tiny"),
    st.just("float"),
)
values = st.recursive(
    st.one_of(scalars, st.just(base64.b64encode(PHOTO).decode())),
    lambda inner: st.one_of(
        st.lists(inner, max_size=20), st.dictionaries(st.text(max_size=5), inner, max_size=3)
    ),
    max_leaves=20,
)
members = st.dictionaries(st.one_of(st.sampled_from(NAMES), st.text(max_size=5)), values, max_size=5)


@st.composite
def damaged_photos(draw: st.DrawFn) -> bytes:
    """A JPEG with a few bytes changed and perhaps its end cut off."""
    data = bytearray(PHOTO)
    for place in draw(st.lists(st.integers(0, len(data) - 1), max_size=8)):
        data[place] = draw(st.integers(0, 255))
    return bytes(data[: draw(st.integers(0, len(data)))])


@st.composite
def forms(draw: st.DrawFn) -> bytes:
    """Parts of any content under names that mean something, perhaps cut short."""
    parts = draw(
        st.lists(
            st.tuples(
                st.sampled_from(NAMES),
                st.booleans(),
                st.one_of(st.just(PHOTO), st.binary(max_size=50), st.sampled_from([b"1", b"tiny", b"{}"])),
            ),
            max_size=4,
        )
    )
    body = b""
    for name, is_file, content in parts:
        file = b'; filename="f"' if is_file else b""
        body += b'--b\r\nContent-Disposition: form-data; name="%b"%b\r\n\r\n' % (name.encode(), file)
        body += content + b"\r\n"
    body += b"--b--\r\n"
    return body[: len(body) - draw(st.sampled_from([0, 0, 0, 4, 20]))]


bodies = st.one_of(
    st.binary(max_size=200),
    damaged_photos(),
    forms(),
    members.map(lambda given_: json.dumps(given_).encode()),
)

queries = st.dictionaries(
    st.sampled_from(NAMES), st.one_of(st.text(max_size=5), st.sampled_from(["1", "true", "{}"])), max_size=2
)
accepted = st.one_of(
    st.sampled_from(["*/*", "application/json", "application/x-npy", "application/vnd.apache.arrow.stream"]),
    st.text(st.characters(min_codepoint=32, max_codepoint=126), max_size=20),
)


def test_no_bytes_give_a_server_error(tiny_models: Path, index_url: str) -> None:
    with asyncio.Runner() as runner:
        stack = AsyncExitStack()
        http = runner.run(stack.enter_async_context(client(tiny_models, index_url)))

        @settings(max_examples=400)
        @given(st.sampled_from(ROUTES), st.sampled_from(TYPES), bodies, queries, accepted)
        def every_answer_blames_the_client_or_is_one(
            route: tuple[str, str], kind: str, body: bytes, query: dict[str, str], accept: str
        ) -> None:
            headers = {"accept": accept, **({"content-type": kind} if kind else {})}
            response = runner.run(http.request(*route, content=body, params=query, headers=headers))
            assert response.status_code < 500, response.text
            if response.status_code >= 400:
                assert response.json()["code"] != "internal_error"

        try:
            every_answer_blames_the_client_or_is_one()
        finally:
            runner.run(stack.aclose())
