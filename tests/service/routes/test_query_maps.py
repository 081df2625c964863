"""POST /v1/neighbours with `maps` and `embedding`: one upload for neighbours, maps and vector."""

import asyncio
import re
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest

from infomax.client.answers import neighbours_of
from service.inference.results import Want
from service.routes.neighbours import NeighbourParameters
from service.routes.query_maps import want_of
from tests.pictures import encoded, landscape, photo
from tests.service.client import check_refusal, client
from tests.tiny_model import EMBEDDING

ROUTE = "/v1/neighbours"
KINDS = ("information", "contribution", "contrast")


async def answer(http: httpx.AsyncClient, **request: Any) -> dict[str, Any]:
    response = await http.post(ROUTE, **request)
    assert response.status_code == 200, response.text
    found: dict[str, Any] = response.json()
    return found


def test_one_upload_answers_what_three_routes_do(tiny_models: Path, index_url: str) -> None:
    async def scenario() -> None:
        async with client(tiny_models, index_url) as http:
            for seed in range(4):
                await http.put(f"/v1/items/{seed}", content=photo(seed))
            image = encoded(landscape(90, 60))
            names = {"maps": ",".join(KINDS), "embedding": "true"}
            alone = await answer(http, content=image, params={"k": 3, "explain": "true"})
            found = await answer(http, content=image, params={"k": 3, "explain": "true", **names})
            assert found["neighbours"] == alone["neighbours"]
            assert set(alone) == {"model", "neighbours"}
            assert [one["kind"] for one in found["maps"]] == [*KINDS]
            for one in found["maps"]:
                response = await http.post("/v1/mi-maps", params={"kind": one["kind"]}, content=image)
                answered = response.json()
                (expected,) = answered["data"]
                # There it stands once for all images.
                expected["measured"] = answered["measured"]
                assert found["image"] == expected.pop("image")
                assert found["boxes"] == expected.pop("boxes")
                assert set(one) == set(expected) - {"index"}
                member = "values" if one["kind"] == "contribution" else "nats"
                np.testing.assert_allclose(one[member], expected[member], atol=1e-4)
            vectors = (await http.post("/v1/embeddings", content=image)).json()["data"]
            np.testing.assert_allclose(found["embedding"], vectors[0]["embedding"], atol=1e-6)
            # In the order asked for, once each, without explanations, by an item of the index too.
            body = {"id": "2", "k": 1, "maps": "contribution, information,contribution"}
            mapped = await answer(http, json=body)
            assert [one["kind"] for one in mapped["maps"]] == ["contribution", "information"]
            assert "explanation" not in mapped["neighbours"][0]

    asyncio.run(scenario())


def test_a_map_that_cannot_be_made_says_so_beside_the_others(tiny_models: Path, index_url: str) -> None:
    async def scenario() -> None:
        async with client(tiny_models, index_url) as http:
            found = await answer(http, content=photo(1), params={"maps": "information,contrast"})
            assert found["neighbours"] == []
            information, contrast = found["maps"]
            assert "nats" in information
            assert (contrast["kind"], contrast["error"]["code"]) == ("contrast", "no_neighbours")
            read = neighbours_of(found)
            assert [*read.maps] == ["information"]
            assert "no other image" in read.missing_maps["contrast"]

    asyncio.run(scenario())


def test_what_has_no_image_has_no_map_and_what_is_no_kind_is_refused(
    tiny_models: Path, index_url: str
) -> None:
    async def scenario() -> None:
        async with client(tiny_models, index_url) as http:
            vector = [1.0] + [0.0] * (EMBEDDING - 1)
            refused = await http.post(ROUTE, json={"vector": vector, "maps": "information"})
            check_refusal(refused, 422, "invalid_parameter", "maps needs an image")
            found = await answer(http, json={"vector": vector, "embedding": True})
            assert found["embedding"] == vector
            for wrong in ("beauty", "", "information,"):
                refused = await http.post(ROUTE, params={"maps": wrong}, content=photo(1))
                check_refusal(refused, 422, "invalid_parameter", "there are information, contribution")
            refused = await http.post(ROUTE, json={"vector": vector, "maps": ["information"]})
            check_refusal(refused, 422, "invalid_parameter", "separated by commas")
            refused = await http.post(
                ROUTE,
                params={"explain": "true", "k": 1, "maps": "information"},
                content=photo(1),
                headers={"accept": "image/png"},
            )
            check_refusal(refused, 422, "invalid_parameter", "Leave maps and embedding out")

    asyncio.run(scenario())


def test_the_pattern_that_is_described_is_the_one_that_holds() -> None:
    schema = NeighbourParameters.model_json_schema()["properties"]["maps"]
    assert "default" not in schema
    for text, allowed in (("contrast", True), ("contrast, information", True), ("colour", False)):
        assert bool(re.search(schema["pattern"], text)) == allowed
        try:
            NeighbourParameters(maps=text)  # type: ignore[arg-type]
        except ValueError:
            assert not allowed
        else:
            assert allowed


@pytest.mark.parametrize(
    ("kinds", "explain", "want"),
    [
        ("", False, Want.EMBEDDING),
        ("", True, Want.PROJECTIONS),
        ("information", False, Want.MAP),
        ("contrast", False, Want.PROJECTIONS),
        ("contribution", False, Want.CONTRIBUTION),
        ("contribution", True, Want.ALL),
        ("contribution information", False, Want.ALL),
    ],
)
def test_no_more_of_the_model_runs_than_is_needed(kinds: str, explain: bool, want: Want) -> None:
    parameters = NeighbourParameters(maps=",".join(kinds.split())) if kinds else NeighbourParameters()  # type: ignore[arg-type]
    assert want_of(parameters.maps, explain=explain) is want
