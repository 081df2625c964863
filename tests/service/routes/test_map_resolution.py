"""The parameter `resolution` of maps, on every route that knows it."""

import asyncio
import base64
from io import BytesIO
from pathlib import Path

import numpy as np
import orjson
import pyarrow as pa
import pytest
from numpy.typing import NDArray
from PIL import Image

from contract.artefact import open_artefact
from contract.placement import place
from tests.pictures import encoded, landscape, photo
from tests.service.client import check_refusal, client
from tests.tiny_model import GRID

ROUTE = "/v1/mi-maps"
BATCH = "/v1/batch"


@pytest.mark.parametrize("resolution", [2, 4])
def test_a_finer_map_has_its_boxes_its_array_and_its_picture(
    tiny_models: Path, index_url: str, resolution: int
) -> None:
    card = open_artefact(tiny_models / "tiny" / "1").card
    image, side, query = encoded(landscape(300, 200)), GRID * resolution, {"resolution": resolution}

    async def scenario() -> None:
        async with client(tiny_models, index_url) as http:
            answer = (await http.post(ROUTE, params=query, content=image)).json()
            (one,) = answer["data"]
            assert (one["rows"], one["columns"]) == (side, side)
            assert np.array(one["nats"]).shape == np.array(one["standard_error"]).shape == (side, side)
            grid = card.patch_grid.finer(resolution)
            expected = grid.boxes(place(card.preprocessing, (300, 200)))
            assert one["boxes"] == [[box.model_dump() for box in row] for row in expected]
            array = await http.post(
                ROUTE, params=query, content=image, headers={"accept": "application/x-npy"}
            )
            np.testing.assert_allclose(np.load(BytesIO(array.content))[0], one["nats"], atol=1e-4)
            picture = await http.post(ROUTE, params=query, content=image, headers={"accept": "image/png"})
            assert Image.open(BytesIO(picture.content)).format == "PNG"

    asyncio.run(scenario())


def test_a_resolution_of_one_is_the_answer_without_it_and_other_ways_to_ask_agree(
    tiny_models: Path, index_url: str
) -> None:
    async def scenario() -> None:
        async with client(tiny_models, index_url) as http:
            today = await http.post(ROUTE, content=photo(1))
            one = await http.post(ROUTE, params={"resolution": 1}, content=photo(1))
            assert one.content == today.content
            by_query = await http.post(ROUTE, params={"resolution": 2}, content=photo(1))
            text = base64.b64encode(photo(1)).decode()
            by_json = await http.post(ROUTE, json={"input": text, "resolution": 2})
            np.testing.assert_allclose(
                by_json.json()["data"][0]["nats"], by_query.json()["data"][0]["nats"], atol=1e-4
            )

    asyncio.run(scenario())


def test_contrast_is_the_own_map_less_the_cross_map_at_every_resolution(
    tiny_models: Path, index_url: str
) -> None:
    async def scenario() -> None:
        async with client(tiny_models, index_url) as http:
            files = [("image", ("a", photo(1))), ("reference", ("r", photo(2)))]

            async def nats(with_reference: bool, **fields: str) -> NDArray[np.float64]:
                sent = files if with_reference else files[:1]
                answer = await http.post(ROUTE, files=sent, data={"resolution": "2", **fields})
                assert answer.status_code == 200, answer.text
                return np.array(answer.json()["data"][0]["nats"])

            own, cross = await nats(False), await nats(True)
            contrast = await nats(True, kind="contrast")
            np.testing.assert_allclose(contrast, own - cross, atol=1e-4)
            broken = [files[0], ("reference", ("r", b"no image"))]
            refused = await http.post(ROUTE, files=broken, data={"resolution": "2"})
            assert "The reference" in refused.json()["detail"]

    asyncio.run(scenario())


@pytest.mark.parametrize("wrong", ["0", "3", "8", "2.5", "-2", "", "two"])
def test_other_resolutions_are_refused_with_those_that_are_allowed(
    tiny_models: Path, index_url: str, wrong: str
) -> None:
    async def scenario() -> None:
        async with client(tiny_models, index_url) as http:
            for route, query in ((ROUTE, {}), (BATCH, {"outputs": "mi_map"})):
                refused = await http.post(route, params={**query, "resolution": wrong}, content=photo(1))
                check_refusal(refused, 422, "invalid_parameter", "1, 2 or 4")

    asyncio.run(scenario())


def test_json_has_numbers_and_contribution_has_one_resolution(tiny_models: Path, index_url: str) -> None:
    text = base64.b64encode(photo(1)).decode()

    async def scenario() -> None:
        async with client(tiny_models, index_url) as http:
            for wrong in (True, "2", 3, 2.5, None):
                refused = await http.post(ROUTE, json={"input": text, "resolution": wrong})
                check_refusal(refused, 422, "invalid_parameter", "1, 2 or 4")
            for route in (ROUTE, BATCH):
                query = {"kind": "contribution", "resolution": "2"}
                refused = await http.post(route, params=query, content=photo(1))
                check_refusal(refused, 422, "invalid_parameter", "kind=contribution")

    asyncio.run(scenario())


def test_streams_answer_the_same_maps(tiny_models: Path, index_url: str) -> None:
    line = orjson.dumps({"id": "a", "image": base64.b64encode(photo(1)).decode()}) + b"\n"
    query = {"outputs": "mi_map", "resolution": "2"}
    ndjson = {"content-type": "application/x-ndjson"}

    async def scenario() -> None:
        async with client(tiny_models, index_url) as http:
            one = await http.post(ROUTE, params={"resolution": 2}, content=photo(1))
            expected = np.array(one.json()["data"][0]["nats"])
            streamed = await http.post(BATCH, params=query, content=line, headers=ndjson)
            first = orjson.loads(streamed.content.splitlines()[0])
            np.testing.assert_allclose(first["mi_map"]["nats"], expected, atol=1e-4)
            arrow = {**ndjson, "accept": "application/vnd.apache.arrow.stream"}
            answer = await http.post(BATCH, params=query, content=line, headers=arrow)
            table = pa.ipc.open_stream(answer.content).read_all()
            assert table.schema.metadata[b"infomax.mi_map"] == f"{2 * GRID}x{2 * GRID}".encode()
            np.testing.assert_allclose(table["mi_map"][0].as_py(), expected.ravel(), atol=1e-4)

    asyncio.run(scenario())
