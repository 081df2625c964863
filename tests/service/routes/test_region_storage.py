"""INFOMAX_INDEX_REGIONS: every way of storing an image keeps its cells, and nothing else does."""

import asyncio
from pathlib import Path

import httpx
import pytest

from tests.pictures import photo
from tests.service.client import client
from tests.service.streams import FORMATS
from tests.tiny_model import EMBEDDING, GRID

CELLS = GRID * GRID


async def cells(http: httpx.AsyncClient) -> int:
    (space,) = (await http.get("/v1/index")).json()["spaces"]
    assert space["cell_search"] == "exact"
    return int(space["cells"])


@pytest.mark.parametrize("name", FORMATS)
def test_images_of_a_stream_have_cells(name: str, tiny_models: Path, index_url: str) -> None:
    content_type, pack = FORMATS[name]
    body = pack([(f"{seed}.jpg", photo(seed)) for seed in range(3)])

    async def scenario() -> None:
        async with client(tiny_models, index_url, index_regions=True) as http:
            await http.post("/v1/items", content=body, headers={"content-type": content_type})
            assert await cells(http) == 3 * CELLS

    asyncio.run(scenario())


def test_an_image_has_cells_and_what_replaces_it_has_its_own(tiny_models: Path, index_url: str) -> None:
    async def scenario() -> None:
        async with client(tiny_models, index_url, index_regions=True) as http:
            for image in (photo(0), photo(1)):
                assert (await http.put("/v1/items/a", content=image)).status_code == 200
                assert await cells(http) == CELLS
            await http.put("/v1/items/b", content=photo(2))
            await http.put("/v1/items/a", json={"vector": [1.0] * EMBEDDING})
            assert await cells(http) == CELLS
            await http.delete("/v1/items?prefix=b")
            assert await cells(http) == 0

    asyncio.run(scenario())


def test_items_without_cells_are_counted(tiny_models: Path, index_url: str) -> None:
    async def counted(http: httpx.AsyncClient) -> tuple[int, int]:
        (space,) = (await http.get("/v1/index")).json()["spaces"]
        return space["items"], space["items_without_regions"]

    async def scenario() -> None:
        async with client(tiny_models, index_url) as http:
            for seed in range(3):
                await http.put(f"/v1/items/{seed}", content=photo(seed))
            assert await counted(http) == (3, 3)
        async with client(tiny_models, index_url, index_regions=True) as http:
            assert await counted(http) == (3, 3)
            for seed in range(1, 5):
                await http.put(f"/v1/items/{seed}", content=photo(seed))
            await http.put("/v1/items/bare", json={"vector": [1.0] * EMBEDDING})
            assert await counted(http) == (6, 2)
            await http.delete("/v1/items/0")
            assert await counted(http) == (5, 1)

    asyncio.run(scenario())


def test_by_default_none_are_kept(tiny_models: Path, index_url: str) -> None:
    async def scenario() -> None:
        async with client(tiny_models, index_url) as http:
            await http.put("/v1/items/a", content=photo())
            assert await cells(http) == 0

    asyncio.run(scenario())
