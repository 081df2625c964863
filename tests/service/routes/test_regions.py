"""POST /v1/neighbours by a region: images that hold it are found, and where."""

import asyncio
import json
from io import BytesIO
from pathlib import Path
from typing import Any

import httpx
import pytest
from PIL import Image

from service.index.database import Database
from service.index.store import Index
from tests.pictures import encoded, landscape, photo
from tests.service.client import check_refusal, client
from tests.service.index_session import tiny_card
from tests.tiny_model import EMBEDDING

ROUTE = "/v1/neighbours"
SIDE = 32
PART = 16
ON = {"index_regions": True}


def part() -> Image.Image:
    return landscape(PART, PART, seed=1000)


def planted(seed: int, left: int, top: int) -> bytes:
    """A picture of its own for each seed, with one and the same part at a place."""
    picture = landscape(SIDE, SIDE, seed)
    picture.paste(part(), (left, top))
    return encoded(picture)


async def fill(http: httpx.AsyncClient, count: int = 12) -> None:
    for seed in range(count):
        params = {"metadata": f'{{"odd": {seed % 2}}}'}
        content = photo(seed, image_format="PNG")
        response = await http.put(f"/v1/items/{seed:02}", content=content, params=params)
        assert response.status_code == 200


async def search(http: httpx.AsyncClient, **request: Any) -> list[dict[str, Any]]:
    response = await http.post(ROUTE, **request)
    assert response.status_code == 200, response.text
    hits: list[dict[str, Any]] = response.json()["neighbours"]
    return hits


@pytest.mark.parametrize(("left", "top"), [(0, 0), (16, 8), (4, 12)])
def test_a_planted_part_is_found_in_its_place(left: int, top: int, tiny_models: Path, index_url: str) -> None:
    async def scenario() -> None:
        async with client(tiny_models, index_url, **ON) as http:
            await fill(http)
            await http.put("/v1/items/planted", content=planted(50, left, top))
            query = planted(70, 16, 16)
            first, second, *_ = await search(http, content=query, params={"region": "[16, 16, 16, 16]"})
            assert first["id"] == "planted"
            assert first["region"] == [left, top, PART, PART]
            assert first["score"] > second["score"]
            same = await search(
                http,
                content=query,
                params={"patches": str([[row, column] for row in range(4, 8) for column in range(4, 8)])},
            )
            assert (same[0]["id"], same[0]["region"]) == ("planted", first["region"])

    asyncio.run(scenario())


def test_an_answer_in_lines_is_one_whole_line(tiny_models: Path, index_url: str) -> None:
    async def scenario() -> None:
        async with client(tiny_models, index_url, **ON) as http:
            await fill(http, 3)
            query = {"id": "00", "region": [0, 4, 20, 20]}
            accept = {"Accept": "application/x-ndjson"}
            answer = await http.post(ROUTE, json=query, headers=accept)
            line, rest = answer.text.split("\n")
            assert json.loads(line)["neighbours"] == await search(http, json=query)
            assert rest == ""
            assert answer.headers["Content-Type"].startswith("application/x-ndjson")

    asyncio.run(scenario())


def test_places_are_in_pixels_of_each_image(tiny_models: Path, index_url: str) -> None:
    def scaled(content: bytes, width: int, height: int) -> bytes:
        picture = Image.open(BytesIO(content)).resize((width, height), Image.Resampling.NEAREST)
        return encoded(picture)

    async def scenario() -> None:
        async with client(tiny_models, index_url, **ON) as http:
            await fill(http)
            await http.put("/v1/items/wide", content=scaled(planted(50, 0, 8), 64, 96))
            query = scaled(planted(70, 16, 16), 320, 32)
            first, *_ = await search(http, content=query, params={"region": "[160, 16, 160, 16]"})
            assert (first["id"], first["region"]) == ("wide", [0, 24, 32, 48])

    asyncio.run(scenario())


def test_an_item_is_searched_by_its_own_cells(tiny_models: Path, index_url: str) -> None:
    async def scenario() -> None:
        async with client(tiny_models, index_url, **ON) as http:
            await fill(http)
            await http.put("/v1/items/a", content=planted(50, 0, 0))
            await http.put("/v1/items/b", content=planted(51, 16, 8))
            for region in ({"region": [0, 0, 16, 16]}, {"patches": [[0, 0], [1, 1], [2, 2], [3, 3]]}):
                first, second, *_ = await search(http, json={"id": "a", **region})
                assert (first["id"], first["region"]) == ("a", [0, 0, 16, 16])
                assert first["score"] == pytest.approx(1, abs=1e-6)
                assert (second["id"], second["region"]) == ("b", [16, 8, 16, 16])

    asyncio.run(scenario())


def test_a_part_between_the_middles_of_patches_is_searched_by_the_nearest(
    tiny_models: Path, index_url: str
) -> None:
    async def scenario() -> None:
        async with client(tiny_models, index_url, **ON) as http:
            await fill(http)
            first, *_ = await search(
                http, content=photo(3, image_format="PNG"), params={"region": "[8.5, 8.5, 0.5, 0.5]"}
            )
            assert first["id"] == "03"
            assert first["score"] == pytest.approx(1, abs=1e-6)

    asyncio.run(scenario())


def test_filter_pages_and_least_score_hold(tiny_models: Path, index_url: str) -> None:
    async def scenario() -> None:
        async with client(tiny_models, index_url, **ON) as http:
            await fill(http)
            await http.put("/v1/items/bare", json={"vector": [1.0] * EMBEDDING})
            query: dict[str, Any] = {"id": "03", "region": [0, 0, 20, 20], "k": 20}
            all_ = await search(http, json=query)
            # A bare vector has no parts.
            assert len(all_) == 12
            assert [hit["score"] for hit in all_] == sorted((hit["score"] for hit in all_), reverse=True)
            odd = await search(http, json={**query, "filter": {"odd": 1}})
            assert odd == [hit for hit in all_ if hit["metadata"]["odd"] == 1]
            assert await search(http, json={**query, "k": 3, "offset": 2}) == all_[2:5]
            assert await search(http, json={**query, "min_score": all_[4]["score"]}) == all_[:5]
            assert await search(http, json={**query, "filter": {"odd": 2}}) == []

    asyncio.run(scenario())


def test_the_graph_finds_what_a_comparison_of_all_finds(tiny_models: Path, index_url: str) -> None:
    card = tiny_card(tiny_models)

    async def build() -> None:
        database = Database(index_url)
        await database.open()
        index = Index(database, card, exact_items=100, regions=True)
        await index.maintain()
        (space,) = (await index.statistics()).spaces
        assert space.cell_search == "hnsw"
        await database.close()

    async def scenario() -> None:
        async with client(tiny_models, index_url, **ON) as http:
            await fill(http, 60)
            await build()
            for seed in range(4):
                for more in ({}, {"filter": {"odd": 1}}):
                    query = {"id": f"{seed:02}", "region": [0, 4, 20, 20], "k": 3, **more}
                    exact = await search(http, json={**query, "recall": "exact"})
                    for recall in ("high", "fast"):
                        found = await search(http, json={**query, "recall": recall})
                        assert found[0] == exact[0]
                        assert len(found) == 3
                    assert await search(http, json=query) == exact

    asyncio.run(scenario())


BAD = [
    ("[0, 0, 16]", "The region is [0,0,16]. Write four numbers"),
    ("[0, 0, 16, true]", "four numbers"),
    ('[0, 0, 16, "16"]', "four numbers"),
    ("{}", "four numbers"),
    ("[0, 0, 0, 16]", "0 x 16"),
    ("[0, 0, 16, -1]", "16 x -1"),
    ("[20, 20, 1e-300, 16]", "1e-300 x 16 pixels, and the least of either is 0.01. Choose a larger one."),
    ("[-1, 0, 16, 16]", "x = -1"),
    ("[20, 20, 13, 4]", "32 x 32"),
    ("[0, 0, 1e300, 4]", "has a number of 1,000,000,000 or more"),
    ("[0, 1e999, 4, 4]", None),
    ("[0, NaN, 4, 4]", None),
]


@pytest.mark.parametrize(("region", "says"), BAD)
def test_a_bad_region_is_refused(region: str, says: str | None, tiny_models: Path, index_url: str) -> None:
    async def scenario() -> None:
        async with client(tiny_models, index_url, **ON) as http:
            await fill(http, 2)
            before = (await http.get("/v1/index")).content
            answer = await http.post(ROUTE, content=photo(), params={"region": region})
            if says is None:
                # Not JSON.
                check_refusal(answer, 422, "invalid_parameter", "region")
            else:
                check_refusal(answer, 422, "invalid_region", says)
            assert (await http.get("/v1/index")).content == before

    asyncio.run(scenario())


BAD_PATCHES = [
    ("[]", "patches is []."),
    ("3", "patches is 3."),
    ("[[0, 0], [0]]", "patches[1] is [0]."),
    ("[[0.5, 1]]", "patches[0] is [0.5,1]."),
    ("[[0, 8]]", "no patch [0, 8]"),
    ("[[-1, 0]]", "no patch [-1, 0]"),
    (str([[0, 0]] * 65), "65 patches"),
]


def test_bad_patches_are_refused_with_the_value(tiny_models: Path, index_url: str) -> None:
    async def scenario() -> None:
        async with client(tiny_models, index_url, **ON) as http:
            for patches, says in BAD_PATCHES:
                answer = await http.post(ROUTE, content=photo(), params={"patches": patches})
                check_refusal(answer, 422, "invalid_region", says)

    asyncio.run(scenario())


def test_what_does_not_combine_is_named(tiny_models: Path, index_url: str) -> None:
    region = [0, 0, 16, 16]

    async def scenario() -> None:
        async with client(tiny_models, index_url, **ON) as http:
            await fill(http, 2)
            for more, name in (
                ({"explain": True}, "explain"),
                ({"maps": "information"}, "maps"),
                ({"embedding": True}, "embedding"),
                ({"positive": [{"id": "01"}]}, "positive"),
                ({"negative": [{"id": "01"}]}, "negative"),
            ):
                answer = await http.post(ROUTE, json={"id": "00", "region": region, **more})
                check_refusal(answer, 422, "invalid_parameter", f"{name} does not combine")
            both = await http.post(ROUTE, json={"id": "00", "region": region, "patches": [[0, 0]]})
            says = "Both region, [0,0,16,16], and patches, [[0,0]], say"
            check_refusal(both, 422, "invalid_parameter", says)
            vector = {"vector": [1.0] * EMBEDDING, "region": region}
            check_refusal(await http.post(ROUTE, json=vector), 422, "invalid_parameter", "vector does not")
            picture = await http.post(
                ROUTE, json={"id": "00", "region": region}, headers={"accept": "image/png"}
            )
            check_refusal(picture, 422, "invalid_parameter", "no picture")
            alone = await http.post(ROUTE, json={"region": region})
            check_refusal(alone, 422, "no_image", "search by an image")

    asyncio.run(scenario())


def test_what_has_no_local_codes_is_said(tiny_models: Path, index_url: str) -> None:
    query = {"id": "00", "region": [0, 0, 16, 16]}

    async def scenario() -> None:
        async with client(tiny_models, index_url) as http:
            await fill(http, 2)
            answer = await http.post(ROUTE, json=query)
            check_refusal(answer, 422, "regions_not_kept", "Set INFOMAX_INDEX_REGIONS=true")
        async with client(tiny_models, index_url, **ON) as http:
            answer = await http.post(ROUTE, json=query)
            check_refusal(answer, 422, "regions_not_kept", "'00' has no local codes")
            answer = await http.post(ROUTE, json={**query, "id": "none"})
            check_refusal(answer, 404, "item_not_found", "none")
            region = {"region": "[0, 0, 16, 16]"}
            answer = await http.post(ROUTE, content=photo(), params=region)
            check_refusal(answer, 422, "regions_not_kept", "None of the 2 items of the model tiny/1")
            await http.put("/v1/items/01", content=photo(1))
            found = (await http.post(ROUTE, content=photo(), params=region)).json()
            assert ([hit["id"] for hit in found["neighbours"]], found["items_without_regions"]) == (["01"], 1)

    asyncio.run(scenario())


def test_a_region_of_nothing_is_found_nowhere(tiny_models: Path, index_url: str) -> None:
    async def scenario() -> None:
        async with client(tiny_models, index_url, **ON) as http:
            answer = await http.post(ROUTE, content=photo(), params={"region": "[0, 0, 16, 16]"})
            assert answer.json() == {"model": "tiny/1", "neighbours": [], "items_without_regions": 0}

    asyncio.run(scenario())


def test_a_place_is_large_enough_to_search_by(tiny_models: Path, index_url: str) -> None:
    async def scenario() -> None:
        async with client(tiny_models, index_url, **ON) as http:
            await fill(http, 1)
            large = encoded(landscape(SIDE, SIDE).resize((3200, 3200)))
            first, *_ = await search(http, content=large, params={"region": "[1600, 1600, 0.3, 0.3]"})
            await search(http, json={"id": "00", "region": first["region"]})

    asyncio.run(scenario())
