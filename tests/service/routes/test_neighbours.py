"""POST /v1/neighbours, as its clients see it."""

import asyncio
import base64
import json
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest

from tests.pictures import photo
from tests.service.client import check_refusal, client
from tests.tiny_model import EMBEDDING, GRID

ROUTE = "/v1/neighbours"
ITEMS = 12


def text(data: bytes) -> str:
    return base64.b64encode(data).decode()


async def fill(http: httpx.AsyncClient) -> None:
    """Pictures 0 to 11 under their numbers, with `even` and `number` to filter by."""
    for seed in range(ITEMS):
        metadata = json.dumps({"number": seed, "even": seed % 2 == 0})
        response = await http.put(f"/v1/items/{seed}", content=photo(seed), params={"metadata": metadata})
        assert response.status_code == 200


def hits(response: httpx.Response) -> list[dict[str, Any]]:
    assert response.status_code == 200, response.text
    found: list[dict[str, Any]] = response.json()["neighbours"]
    return found


def test_an_indexed_image_finds_itself_first(tiny_models: Path, index_url: str) -> None:
    async def scenario() -> None:
        async with client(tiny_models, index_url) as http:
            await fill(http)
            for seed in range(ITEMS):
                response = await http.post(ROUTE, content=photo(seed))
                assert response.json()["model"] == "tiny/1"
                found = hits(response)
                assert len(found) == 10
                assert found[0]["id"] == str(seed)
                assert found[0]["score"] == pytest.approx(1, abs=1e-5)
                assert found[0]["metadata"] == {"number": seed, "even": seed % 2 == 0}
                assert set(found[0]) == {"id", "score", "metadata"}
                scores = [hit["score"] for hit in found]
                assert scores == sorted(scores, reverse=True)

    asyncio.run(scenario())


def test_scores_are_cosines_of_embeddings(tiny_models: Path, index_url: str) -> None:
    async def scenario() -> None:
        async with client(tiny_models, index_url) as http:
            await fill(http)
            files = [("image", ("a", photo(seed))) for seed in [*range(ITEMS), 99]]
            data = (await http.post("/v1/embeddings", files=files)).json()["data"]
            vectors = np.array([one["embedding"] for one in data])
            expected = vectors[:-1] @ vectors[-1]
            found = hits(await http.post(ROUTE, content=photo(99), params={"k": 1000}))
            assert len(found) == ITEMS
            assert [hit["id"] for hit in found] == [str(place) for place in np.argsort(-expected)]
            np.testing.assert_allclose([hit["score"] for hit in found], np.sort(expected)[::-1], atol=1e-5)

    asyncio.run(scenario())


def test_image_id_and_vector_find_the_same(tiny_models: Path, index_url: str) -> None:
    async def scenario() -> None:
        async with client(tiny_models, index_url) as http:
            await fill(http)
            vector = (await http.get("/v1/items/4")).json()["vector"]
            requests = [
                http.post(ROUTE, content=photo(4), params={"k": 5}),
                http.post(ROUTE, files={"image": ("x.jpg", photo(4))}, data={"k": "5"}),
                http.post(ROUTE, json={"image": text(photo(4)), "k": 5}),
                # By id an item is its own first neighbour, as its image is.
                http.post(ROUTE, json={"id": "4", "k": 5}),
                http.post(ROUTE, json={"vector": vector, "k": 5}),
                http.post(ROUTE, json={"vector": [7 * number for number in vector], "k": 5}),
            ]
            first, *others = [hits(await request) for request in requests]
            assert first[0]["id"] == "4"
            for other in others:
                assert [hit["id"] for hit in other] == [hit["id"] for hit in first]
                np.testing.assert_allclose(
                    [hit["score"] for hit in other], [hit["score"] for hit in first], atol=1e-5
                )

    asyncio.run(scenario())


def test_a_filter_leaves_only_what_contains_it(tiny_models: Path, index_url: str) -> None:
    async def scenario() -> None:
        async with client(tiny_models, index_url) as http:
            await fill(http)
            even = {"even": True}
            requests = [
                http.post(ROUTE, content=photo(4), params={"filter": json.dumps(even)}),
                http.post(ROUTE, files={"image": ("x", photo(4))}, data={"filter": json.dumps(even)}),
                http.post(ROUTE, json={"image": text(photo(4)), "filter": even}),
            ]
            for request in requests:
                found = hits(await request)
                assert {int(str(hit["id"])) for hit in found} == {0, 2, 4, 6, 8, 10}
            assert hits(await http.post(ROUTE, json={"id": "4", "filter": {"number": 99}})) == []

    asyncio.run(scenario())


def test_operators_thresholds_and_recall_mean_the_same_in_every_form(
    tiny_models: Path, index_url: str
) -> None:
    filter_ = {"number": {"gte": 2, "lt": 9}, "not": {"even": True}}

    async def scenario() -> None:
        async with client(tiny_models, index_url) as http:
            await fill(http)
            for recall in ("exact", "high", "fast"):
                for request in (
                    http.post(
                        ROUTE, content=photo(4), params={"filter": json.dumps(filter_), "recall": recall}
                    ),
                    http.post(ROUTE, json={"id": "4", "filter": filter_, "recall": recall}),
                ):
                    assert {hit["id"] for hit in hits(await request)} == {"3", "5", "7"}
            everything = hits(await http.post(ROUTE, json={"id": "4", "k": 100}))
            least = everything[4]["score"]
            near = hits(await http.post(ROUTE, content=photo(4), params={"min_score": least, "k": 100}))
            assert [hit["id"] for hit in near[:3]] == [hit["id"] for hit in everything[:3]]
            assert all(hit["score"] >= least for hit in near)
            assert len(near) < len(everything)

    asyncio.run(scenario())


def test_an_explanation_is_the_cross_map_with_the_hit(tiny_models: Path, index_url: str) -> None:
    async def scenario() -> None:
        async with client(tiny_models, index_url) as http:
            await fill(http)
            for request in (
                http.post(ROUTE, content=photo(4), params={"explain": "true", "k": 3}),
                http.post(ROUTE, json={"image": text(photo(4)), "explain": True, "k": 3}),
            ):
                found = hits(await request)
                assert len(found) == 3
                for hit in found:
                    files = {"image": ("a", photo(4)), "reference": ("b", photo(int(str(hit["id"]))))}
                    crossed = (await http.post("/v1/mi-maps", files=files)).json()["data"][0]
                    explanation = hit["explanation"]
                    assert isinstance(explanation, dict)
                    assert (explanation["rows"], explanation["columns"]) == (GRID, GRID)
                    np.testing.assert_allclose(explanation["nats"], crossed["nats"], atol=1e-3)
                    assert explanation["mean"] == pytest.approx(crossed["mean"], abs=1e-3)

    asyncio.run(scenario())


def test_a_bare_vector_cannot_be_explained_and_hinders_no_other_hit(
    tiny_models: Path, index_url: str
) -> None:
    async def scenario() -> None:
        async with client(tiny_models, index_url) as http:
            await http.put("/v1/items/image", content=photo(1))
            await http.put("/v1/items/vector", json={"vector": [1.0] * EMBEDDING})
            found = hits(await http.post(ROUTE, content=photo(1), params={"explain": "true"}))
            explained = {hit["id"]: hit["explanation"] is not None for hit in found}
            assert explained == {"image": True, "vector": False}

    asyncio.run(scenario())


def test_an_empty_index_has_no_neighbours(tiny_models: Path, index_url: str) -> None:
    async def scenario() -> None:
        async with client(tiny_models, index_url) as http:
            assert hits(await http.post(ROUTE, content=photo(), params={"explain": "true"})) == []

    asyncio.run(scenario())


REFUSALS: list[tuple[dict[str, Any], int, str, str]] = [
    ({"content": photo(), "params": {"k": 0}}, 422, "invalid_parameter", "k='0'"),
    ({"json": {"id": "a", "k": True}}, 422, "invalid_parameter", "k=true is not allowed"),
    ({"json": {"id": "a", "k": "1"}}, 422, "invalid_parameter", "k='1' is not allowed"),
    ({"json": {"id": "a", "filter": {"a": -(2**64)}}}, 422, "invalid_filter", "64 bits"),
    ({"content": photo(), "params": {"k": 1001}}, 422, "invalid_parameter", "1000"),
    ({"content": photo(), "params": {"k": "many"}}, 422, "invalid_parameter", "k='many'"),
    ({"content": photo(), "params": {"explan": 1}}, 422, "invalid_parameter", "'explan'"),
    ({"content": photo(), "params": {"explain": "perhaps"}}, 422, "invalid_parameter", "explain="),
    ({"content": photo(), "params": {"filter": "[1]"}}, 422, "invalid_filter", "JSON object"),
    ({"json": {"id": "a", "filter": {"n": {"between": [1, 2]}}}}, 422, "invalid_filter", "'between'"),
    ({"json": {"id": "a", "filter": {"or": []}}}, 422, "invalid_filter", "list of filters"),
    ({"json": {"id": "a", "recall": "best"}}, 422, "invalid_parameter", "recall="),
    ({"json": {"id": "a", "min_score": 1.5}}, 422, "invalid_parameter", "min_score=1.5"),
    ({"content": photo(), "params": {"min_score": "nan"}}, 422, "invalid_parameter", "min_score="),
    ({"content": photo(), "params": {"filter": "{"}}, 422, "invalid_parameter", "must be JSON"),
    ({"content": b"?", "headers": {"content-type": "image/png"}}, 415, "unsupported_format", "The bytes"),
    ({"json": {"k": 3}}, 422, "no_image", "an image, an id or a vector"),
    ({"json": {"id": "nobody"}}, 404, "item_not_found", "'nobody'"),
    ({"json": {"id": 3}}, 422, "invalid_parameter", "id=3"),
    ({"json": {"id": ""}}, 422, "invalid_id", "at least one character"),
    ({"json": {"id": "a\0"}}, 422, "invalid_id", "control character"),
    ({"json": {"id": "a", "vector": [1.0] * EMBEDDING}}, 422, "invalid_parameter", "an id and a vector"),
    ({"json": {"image": "QUJD", "id": "a"}}, 422, "invalid_parameter", "an image and an id"),
    ({"json": {"vector": [1.0]}}, 422, "invalid_vector", "20"),
    ({"json": {"id": "a", "model": "other"}}, 404, "unknown_model", "tiny/1"),
    ({"files": [("image", ("x", photo()))] * 2}, 422, "one_image_expected", "2 images"),
]


def test_a_refusal_says_what_is_wrong(tiny_models: Path, index_url: str) -> None:
    async def scenario() -> None:
        async with client(tiny_models, index_url) as http:
            for request, status, code, says in REFUSALS:
                check_refusal(await http.post(ROUTE, **request), status, code, says)

    asyncio.run(scenario())
