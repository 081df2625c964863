"""Items, one at a time, as clients put, read and remove them."""

import asyncio
import base64
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import quote

import numpy as np

from tests.pictures import encoded, landscape, photo
from tests.service.client import check_refusal, client
from tests.tiny_model import EMBEDDING

JPEG = {"content-type": "image/jpeg"}


def test_an_image_is_stored_with_its_embedding_and_what_is_known_of_it(
    tiny_models: Path, index_url: str
) -> None:
    image = encoded(landscape(300, 200), "WEBP")

    async def scenario() -> None:
        async with client(tiny_models, index_url) as http:
            before = datetime.now(UTC)
            response = await http.put(
                "/v1/items/cat", content=image, params={"metadata": '{"label": "cat", "n": 3}'}
            )
            assert response.status_code == 200
            assert response.json() == {"id": "cat", "model": "tiny/1", "status": "stored"}
            item = (await http.get("/v1/items/cat")).json()
            embedding = (await http.post("/v1/embeddings", content=image)).json()["data"][0]["embedding"]
            np.testing.assert_allclose(item.pop("vector"), embedding, atol=1e-6)
            assert before <= datetime.fromisoformat(item.pop("updated")) <= datetime.now(UTC)
            assert item == {
                "id": "cat",
                "model": "tiny/1",
                "metadata": {"label": "cat", "n": 3},
                "width": 300,
                "height": 200,
                "format": "WEBP",
            }

    asyncio.run(scenario())


def test_however_an_item_is_sent_it_is_stored_the_same(tiny_models: Path, index_url: str) -> None:
    image = photo(3)
    metadata = {"label": "ship", "nested": {"deep": [1, None, "ü"]}}

    async def scenario() -> None:
        async with client(tiny_models, index_url) as http:
            text = '{"label": "ship", "nested": {"deep": [1, null, "ü"]}}'
            responses = [
                await http.put("/v1/items/a", content=image, headers=JPEG, params={"metadata": text}),
                await http.put("/v1/items/b", files={"image": ("x.jpg", image)}, data={"metadata": text}),
                await http.put(
                    "/v1/items/c",
                    json={"image": base64.b64encode(image).decode(), "metadata": metadata, "model": "tiny"},
                ),
            ]
            assert [response.status_code for response in responses] == [200] * 3
            items = [(await http.get(f"/v1/items/{name}")).json() for name in "abc"]
            for item in items:
                assert item["metadata"] == metadata
                assert (item["width"], item["height"], item["format"]) == (32, 32, "JPEG")
                np.testing.assert_allclose(item["vector"], items[0]["vector"], atol=1e-6)

    asyncio.run(scenario())


def test_a_vector_of_one_s_own_is_stored_at_length_one(tiny_models: Path, index_url: str) -> None:
    async def scenario() -> None:
        async with client(tiny_models, index_url) as http:
            vector = [3.0, 4.0, *[0.0] * (EMBEDDING - 2)]
            assert (await http.put("/v1/items/own", json={"vector": vector})).status_code == 200
            item = (await http.get("/v1/items/own")).json()
            np.testing.assert_allclose(item["vector"], np.array(vector) / 5, atol=1e-6)
            assert (item["metadata"], item["width"], item["format"]) == ({}, None, None)

    asyncio.run(scenario())


def test_a_second_put_replaces_the_first_as_a_whole(tiny_models: Path, index_url: str) -> None:
    async def scenario() -> None:
        async with client(tiny_models, index_url) as http:
            await http.put("/v1/items/a", content=photo(1), params={"metadata": '{"old": true}'})
            first = (await http.get("/v1/items/a")).json()
            await http.put("/v1/items/a", content=photo(2))
            second = (await http.get("/v1/items/a")).json()
            assert second["metadata"] == {}
            assert np.abs(np.subtract(second["vector"], first["vector"])).max() > 0.01
            assert (await http.get("/v1/index")).json()["spaces"][0]["items"] == 1

    asyncio.run(scenario())


def test_what_is_removed_is_gone(tiny_models: Path, index_url: str) -> None:
    async def scenario() -> None:
        async with client(tiny_models, index_url) as http:
            await http.put("/v1/items/a", content=photo())
            response = await http.delete("/v1/items/a")
            assert (response.status_code, response.content) == (204, b"")
            for answer in (await http.get("/v1/items/a"), await http.delete("/v1/items/a")):
                assert (answer.status_code, answer.json()["code"]) == (404, "item_not_found")
                assert "tiny/1" in answer.json()["detail"]

    asyncio.run(scenario())


IDS = ("a", "cats/2024/1.jpg", "a b", "100%", "ü/漢字", "a%2Fb", "?#&=+", "~'\"<>\\|", "a//b", ".a", "...")


def test_ids_are_what_the_path_says_slashes_and_all(tiny_models: Path, index_url: str) -> None:
    async def scenario() -> None:
        async with client(tiny_models, index_url) as http:
            for seed, item_id in enumerate(IDS):
                path = "/v1/items/" + quote(item_id, safe="/")
                response = await http.put(path, content=photo(seed))
                assert response.json()["id"] == item_id
            for item_id in IDS:
                # A slash may be written either way.
                response = await http.get("/v1/items/" + quote(item_id, safe=""))
                assert response.json()["id"] == item_id
                found = (await http.post("/v1/neighbours", json={"id": item_id})).json()["neighbours"]
                assert found[0]["id"] == item_id

    asyncio.run(scenario())


def test_the_index_tells_what_it_holds(tiny_models: Path, index_url: str) -> None:
    async def scenario() -> None:
        async with client(tiny_models, index_url) as http:
            for seed in range(3):
                await http.put(f"/v1/items/{seed}", content=photo(seed))
            answer = (await http.get("/v1/index")).json()
            assert (answer["model"], answer["dimensions"]) == ("tiny/1", EMBEDDING)
            (space,) = answer["spaces"]
            assert (space["model"], space["items"], space["search"]) == ("tiny/1", 3, "exact")
            assert space["bytes"] > 0
            assert int(answer["postgresql"].split(".")[0]) >= 16

    asyncio.run(scenario())


VECTOR = [1.0] * EMBEDDING


REFUSALS: list[tuple[str, dict[str, Any], int, str, str]] = [
    ("a", {"content": b"no image", "headers": JPEG}, 415, "unsupported_format", "The bytes"),
    ("a", {"json": {}}, 422, "no_image", "or a vector"),
    ("a", {"json": {"vector": [1, 2]}}, 422, "invalid_vector", "20"),
    ("a", {"json": {"vector": ["x"] * EMBEDDING}}, 422, "invalid_vector", "numbers"),
    ("a", {"json": {"vector": [0] * EMBEDDING}}, 422, "invalid_vector", "no direction"),
    ("a", {"json": {"vector": VECTOR, "image": "QUJD"}}, 422, "invalid_parameter", "one of the two"),
    ("a", {"json": {"vector": VECTOR, "metadata": [1]}}, 422, "invalid_metadata", "JSON object"),
    ("a", {"json": {"vector": VECTOR, "metadata": {"k": "\0"}}}, 422, "invalid_metadata", "U+0000"),
    ("a", {"json": {"vector": VECTOR, "metadata": "{}"}}, 422, "invalid_metadata", "JSON object"),
    ("a", {"json": {"vector": VECTOR, "metadata": {"k": 2**64}}}, 422, "invalid_metadata", "64 bits"),
    (
        "a",
        {"json": {"vector": VECTOR}, "params": {"metadata": "{"}},
        422,
        "invalid_parameter",
        "must be JSON",
    ),
    (
        "a",
        {"json": {"vector": VECTOR}, "params": {"metadata": f'{{"k": {2**64}}}'}},
        422,
        "invalid_metadata",
        "64 bits",
    ),
    ("a", {"json": {"vector": [True, *VECTOR[1:]]}}, 422, "invalid_vector", "numbers"),
    ("a", {"content": b"", "headers": {"content-type": "application/json"}}, 400, "invalid_json", "is empty"),
    ("a", {"json": {"vector": VECTOR, "meta": {}}}, 422, "invalid_parameter", "'meta'"),
    ("a", {"json": {"vector": VECTOR, "model": "other"}}, 404, "unknown_model", "tiny/1"),
    ("a", {"json": {"image": ["QUJD"]}}, 422, "invalid_base64", "is a list"),
    ("a", {"files": [("image", ("x", photo()))] * 2}, 422, "one_image_expected", "2 images"),
    ("a?metadata=[1]", {"content": photo()}, 422, "invalid_metadata", "JSON object"),
    ("a?label=cat", {"content": photo()}, 422, "invalid_parameter", "'label'"),
    ("", {"content": photo()}, 422, "invalid_id", "at least one character"),
    ("x" * 513, {"content": photo()}, 422, "invalid_id", "512"),
    ("a%00b", {"content": photo()}, 422, "invalid_id", "control character"),
    ("%ff", {"content": photo()}, 422, "invalid_id", "UTF-8"),
    ("a/%2E%2E/b", {"content": photo()}, 422, "invalid_id", ". or .."),
]


def test_a_refusal_says_what_is_wrong_and_stores_nothing(tiny_models: Path, index_url: str) -> None:
    async def scenario() -> None:
        async with client(tiny_models, index_url) as http:
            for path, request, status, code, says in REFUSALS:
                check_refusal(await http.put(f"/v1/items/{path}", **request), status, code, says)
            assert (await http.get("/v1/index")).json()["spaces"][0]["items"] == 0

    asyncio.run(scenario())
