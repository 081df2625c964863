"""POST /v1/neighbours with explain=true: both cross maps, their contrast, and the picture of all of them."""

import asyncio
from io import BytesIO
from pathlib import Path
from typing import Any

import httpx
import numpy as np
from PIL import Image

from service.outputs.neighbour_picture import ROW_HEIGHT, WIDTH
from tests.pictures import encoded, landscape, photo
from tests.service.client import check_refusal, client
from tests.tiny_model import EMBEDDING

ROUTE = "/v1/neighbours"
PNG = {"accept": "image/png"}
EXPLAINED = {"explain": "true", "k": "3"}


async def fill(http: httpx.AsyncClient, count: int = 6) -> None:
    for seed in range(count):
        assert (await http.put(f"/v1/items/{seed}", content=photo(seed))).status_code == 200


async def cross_map(http: httpx.AsyncClient, image: bytes, reference: bytes) -> np.ndarray[Any, Any]:
    files = {"image": ("a", image), "reference": ("b", reference)}
    (answer,) = (await http.post("/v1/mi-maps", files=files)).json()["data"]
    return np.array(answer["nats"])


async def explained(http: httpx.AsyncClient, **request: Any) -> dict[str, Any]:
    response = await http.post(ROUTE, **request)
    assert response.status_code == 200, response.text
    return {hit["id"]: hit["explanation"] for hit in response.json()["neighbours"]}


def test_each_side_is_mapped_against_the_other_one_s_code(tiny_models: Path, index_url: str) -> None:
    async def scenario() -> None:
        async with client(tiny_models, index_url) as http:
            await fill(http)
            found = await explained(http, content=photo(4), params=EXPLAINED)
            assert len(found) == 3
            for name, why in found.items():
                hit = photo(int(name))
                np.testing.assert_allclose(why["nats"], await cross_map(http, photo(4), hit), atol=1e-3)
                # The thumbnail of a small image is exact, so that its map is too.
                reverse = why["hit"]
                np.testing.assert_allclose(reverse["nats"], await cross_map(http, hit, photo(4)), atol=1e-3)
                assert reverse["from"] == "thumbnail"
                assert reverse["image"] == {"width": 32, "height": 32, "format": "JPEG"}

    asyncio.run(scenario())


def test_a_contrast_is_the_map_less_its_mean(tiny_models: Path, index_url: str) -> None:
    async def scenario() -> None:
        async with client(tiny_models, index_url) as http:
            await fill(http)
            found = await explained(http, content=photo(4), params=EXPLAINED)
            for why in (side for both in found.values() for side in (both, both["hit"])):
                np.testing.assert_allclose(why["contrast"], np.array(why["nats"]) - why["mean"], atol=1e-4)

    asyncio.run(scenario())


def test_an_item_explains_its_neighbours_as_its_image_does(tiny_models: Path, index_url: str) -> None:
    async def scenario() -> None:
        async with client(tiny_models, index_url) as http:
            await fill(http)
            by_image = await explained(http, content=photo(4), params=EXPLAINED)
            by_id = await explained(http, json={"id": "4", "explain": True, "k": 3})
            assert list(by_id) == list(by_image)
            for name, why in by_id.items():
                np.testing.assert_allclose(why["nats"], by_image[name]["nats"], atol=1e-3)

    asyncio.run(scenario())


def test_the_original_explains_better_than_a_thumbnail(tiny_models: Path, index_url: str) -> None:
    large = encoded(landscape(300, 200), "PNG")

    async def scenario() -> None:
        async with client(tiny_models, index_url, originals="database") as http:
            assert (await http.put("/v1/items/a", content=large)).status_code == 200
            why = (await explained(http, content=photo(4), params=EXPLAINED))["a"]["hit"]
            np.testing.assert_allclose(why["nats"], await cross_map(http, large, photo(4)), atol=1e-4)
            assert why["from"] == "original"

    asyncio.run(scenario())


def test_a_hit_without_a_picture_is_explained_by_the_query_alone(tiny_models: Path, index_url: str) -> None:
    async def scenario() -> None:
        async with client(tiny_models, index_url) as http:
            await http.put("/v1/items/image", content=photo(1))
            await http.put("/v1/items/vector", json={"vector": [1.0] * EMBEDDING})
            found = await explained(http, content=photo(1), params=EXPLAINED)
            assert found["image"]["hit"] is not None
            assert found["vector"] is None
            picture = await http.post(ROUTE, content=photo(1), params=EXPLAINED, headers=PNG)
            assert Image.open(BytesIO(picture.content)).height > 2 * ROW_HEIGHT

    asyncio.run(scenario())


def test_one_picture_shows_query_and_hits(tiny_models: Path, index_url: str) -> None:
    async def scenario() -> None:
        async with client(tiny_models, index_url) as http:
            await fill(http)
            first, second = [
                await http.post(ROUTE, content=photo(4), params=EXPLAINED, headers=PNG) for _ in range(2)
            ]
            assert first.headers["content-type"] == "image/png"
            assert first.content == second.content
            picture = Image.open(BytesIO(first.content))
            assert (picture.width, picture.height // ROW_HEIGHT) == (WIDTH, 3)
            by_id = await http.post(ROUTE, json={"id": "4", "explain": True, "k": 3}, headers=PNG)
            assert by_id.status_code == 200

    asyncio.run(scenario())


def test_what_cannot_be_explained_is_refused(tiny_models: Path, index_url: str) -> None:
    vector = [1.0] * EMBEDDING

    async def scenario() -> None:
        async with client(tiny_models, index_url) as http:
            await http.put("/v1/items/vector", json={"vector": vector})
            for request, says in (
                ({"json": {"vector": vector, "explain": True}}, "needs an image"),
                ({"json": {"id": "vector", "explain": True}}, "No picture of the item 'vector'"),
                ({"content": photo(), "params": {"explain": "true", "k": "101"}}, "at most 100"),
                ({"content": photo(), "headers": PNG}, "Set explain=true"),
                (
                    {"content": photo(), "headers": PNG, "params": {"explain": "true", "k": "11"}},
                    "at most 10",
                ),
            ):
                check_refusal(await http.post(ROUTE, **request), 422, "invalid_parameter", says)

    asyncio.run(scenario())
