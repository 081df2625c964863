"""POST /v1/neighbours by several examples, and in pages."""

import asyncio
import json
from pathlib import Path
from typing import Any

import httpx
import numpy as np
from numpy.typing import NDArray

from tests.pictures import photo
from tests.service.client import check_refusal, client
from tests.tiny_model import EMBEDDING

ROUTE = "/v1/neighbours"
ITEMS = 12


async def fill(http: httpx.AsyncClient) -> NDArray[np.float64]:
    """Pictures 0 to 11 under their numbers; their vectors [12, D]."""
    vectors = []
    for seed in range(ITEMS):
        assert (await http.put(f"/v1/items/{seed}", content=photo(seed))).status_code == 200
        vectors.append((await http.get(f"/v1/items/{seed}")).json()["vector"])
    return np.array(vectors)


async def found(http: httpx.AsyncClient, **request: Any) -> list[dict[str, Any]]:
    response = await http.post(ROUTE, **request)
    assert response.status_code == 200, response.text
    hits: list[dict[str, Any]] = response.json()["neighbours"]
    return hits


def test_hits_are_near_to_the_positives_and_far_from_the_negatives(tiny_models: Path, index_url: str) -> None:
    async def scenario() -> None:
        async with client(tiny_models, index_url) as http:
            vectors = await fill(http)
            direction = vectors[[1, 2]].mean(axis=0) - 0.5 * vectors[[3, 4, 5]].mean(axis=0)
            expected = vectors @ (direction / np.linalg.norm(direction))
            order = [row for row in np.argsort(-expected).tolist() if row not in (1, 2, 3, 4)]
            body = {
                "positive": [{"id": "1"}, {"id": "2"}],
                "negative": [{"id": "3"}, {"id": "4"}, {"vector": (9 * vectors[5]).tolist()}],
                "k": ITEMS,
            }
            hits = await found(http, json=body)
            # An item that is named is no answer; one that is given as a vector may be.
            assert [int(hit["id"]) for hit in hits] == order
            np.testing.assert_allclose([hit["score"] for hit in hits], expected[order], atol=1e-5)

    asyncio.run(scenario())


def test_an_image_is_one_more_positive_example(tiny_models: Path, index_url: str) -> None:
    async def scenario() -> None:
        async with client(tiny_models, index_url) as http:
            vectors = await fill(http)
            direction = vectors[[6, 7]].mean(axis=0)
            expected = vectors @ (direction / np.linalg.norm(direction))
            order = [row for row in np.argsort(-expected).tolist() if row != 7]
            examples = json.dumps([{"id": "7"}])
            for request in (
                {"content": photo(6), "params": {"positive": examples, "k": str(ITEMS)}},
                {"files": {"image": photo(6)}, "data": {"positive": examples, "k": str(ITEMS)}},
            ):
                hits = await found(http, **request)
                assert [int(hit["id"]) for hit in hits] == order

    asyncio.run(scenario())


def test_pages_together_are_the_whole(tiny_models: Path, index_url: str) -> None:
    async def scenario() -> None:
        async with client(tiny_models, index_url) as http:
            await fill(http)
            whole = await found(http, json={"id": "4", "k": 100})
            pages = [await found(http, json={"id": "4", "k": 5, "offset": start}) for start in (0, 5, 10, 15)]
            assert [len(page) for page in pages] == [5, 5, 2, 0]
            assert [hit for page in pages for hit in page] == whole
            answer = await http.post(
                "/v1/batch",
                params={"outputs": "neighbours", "k": 5, "offset": 5},
                files={"image": photo(4)},
            )
            line = json.loads(answer.text.splitlines()[0])
            assert [hit["id"] for hit in line["neighbours"]] == [hit["id"] for hit in pages[1]]

    asyncio.run(scenario())


VECTOR = [1.0] * EMBEDDING
OPPOSITE = [-1.0] * EMBEDDING
REFUSALS: list[tuple[dict[str, Any], int, str, str]] = [
    ({"positive": {"id": "0"}}, 422, "invalid_parameter", "list of examples"),
    ({"positive": ["0"]}, 422, "invalid_parameter", "list of examples"),
    ({"positive": [{"id": "0", "vector": VECTOR}]}, 422, "invalid_parameter", "list of examples"),
    ({"positive": [{"name": "0"}]}, 422, "invalid_parameter", "list of examples"),
    ({"positive": [{"vector": [1.0]}]}, 422, "invalid_vector", "20"),
    ({"positive": [{"id": ""}]}, 422, "invalid_id", "at least one character"),
    ({"positive": [{"id": "0"}] * 101}, 422, "invalid_parameter", "the limit is 100"),
    ({"positive": [{"id": "nobody"}]}, 404, "item_not_found", "'nobody'"),
    ({"negative": [{"vector": VECTOR}]}, 422, "invalid_parameter", "negative examples alone"),
    ({"positive": []}, 422, "invalid_parameter", "no example"),
    ({"positive": [{"vector": VECTOR}, {"vector": OPPOSITE}]}, 422, "invalid_parameter", "cancel"),
    ({"positive": [{"vector": VECTOR}], "explain": True}, 422, "invalid_parameter", "needs an image"),
    ({"vector": VECTOR, "k": 600, "offset": 401}, 422, "invalid_parameter", "offset + k is 1,001"),
    ({"vector": VECTOR, "offset": -1}, 422, "invalid_parameter", "offset=-1"),
]


def test_a_refusal_says_what_is_wrong(tiny_models: Path, index_url: str) -> None:
    async def scenario() -> None:
        async with client(tiny_models, index_url) as http:
            for body, status, code, says in REFUSALS:
                check_refusal(await http.post(ROUTE, json=body), status, code, says)

    asyncio.run(scenario())
