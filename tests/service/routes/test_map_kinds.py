"""The parameter `kind` of maps, on every route that answers some."""

import asyncio
import base64
import math
from io import BytesIO
from pathlib import Path

import httpx
import numpy as np
import orjson
import pyarrow as pa
from numpy.typing import NDArray
from PIL import Image

from contract.map_kinds import MapKind
from tests.measured_maps import state_measures
from tests.pictures import photo
from tests.service.client import check_refusal, client
from tests.tiny_model import BANK, GRID, build_tiny_model

ROUTE = "/v1/mi-maps"
V2 = "/v2/models/tiny/infer"
BATCH = "/v1/batch"


def text(data: bytes) -> str:
    return base64.b64encode(data).decode()


def only(response: httpx.Response, member: str = "nats") -> NDArray[np.float64]:
    assert response.status_code == 200, response.text
    return np.array(response.json()["data"][0][member])


def line(image: bytes) -> bytes:
    return orjson.dumps({"id": "a", "image": text(image)}) + b"\n"


def test_information_tells_its_error_and_what_is_above_its_ceiling(tiny_models: Path, index_url: str) -> None:
    async def scenario() -> None:
        async with client(tiny_models, index_url) as http:
            answer = (await http.post(ROUTE, content=photo(1))).json()
            assert answer["kind"] == answer["data"][0]["kind"] == "information"
            assert answer["question"] == MapKind.INFORMATION.meaning.question
            (one,) = answer["data"]
            assert one["ceiling"] == np.float64(math.log(BANK))
            above = np.argwhere(np.array(one["nats"]) > one["ceiling"]).tolist()
            assert one["above_ceiling"] == above
            errors = np.array(one["standard_error"])
            assert errors.shape == (GRID, GRID)
            assert (errors > 0).all()
            assert (errors <= 1).all()

    asyncio.run(scenario())


def test_maps_tell_what_the_card_states_of_their_kind(index_url: str, tmp_path: Path) -> None:
    state_measures(build_tiny_model(tmp_path))

    async def scenario() -> None:
        async with client(tmp_path, index_url) as http:
            for kind, member in (("contribution", "attribution"), ("information", "reliability")):
                answer = (await http.post(ROUTE, params={"kind": kind}, content=photo(1))).json()
                measured = answer["measured"]
                assert (measured["kind"], measured["precision"]) == (kind, "fp32")
                assert measured["split"] == "fifty pictures"
                assert member in measured
                assert ("reliability" in measured) == (kind == "information")
            found = await http.post("/v1/neighbours", params={"maps": "contribution"}, content=photo(1))
            (one,) = found.json()["maps"]
            assert one["measured"]["attribution"]["pointing"] == {"photo": 0.86}
            card = (await http.get("/v1/models/tiny")).json()["card"]
            assert card["attribution"]["halves"]["contrast"] == 0.99
            assert len(card["reliability"]["bins"]) == 3

    asyncio.run(scenario())


def test_an_unmeasured_kind_says_so(tiny_models: Path, index_url: str) -> None:
    async def scenario() -> None:
        async with client(tiny_models, index_url) as http:
            answer = (await http.post(ROUTE, content=photo(1))).json()
            assert answer["measured"] is None
            assert "attribution" not in (await http.get("/v1/models/tiny")).json()["card"]

    asyncio.run(scenario())


def test_contribution_has_a_unit_and_knows_no_reference(tiny_models: Path, index_url: str) -> None:
    async def scenario() -> None:
        async with client(tiny_models, index_url) as http:
            answer = await http.post(ROUTE, params={"kind": "contribution"}, content=photo(1))
            body = answer.json()
            assert (body["kind"], body["unit"]) == ("contribution", "relative distance")
            (one,) = body["data"]
            assert "nats" not in one
            assert "standard_error" not in one
            assert np.array(one["values"]).shape == (GRID, GRID)
            picture = await http.post(
                ROUTE, params={"kind": "contribution"}, content=photo(1), headers={"accept": "image/png"}
            )
            assert Image.open(BytesIO(picture.content)).format == "PNG"
            files = [("image", ("a", photo(1))), ("reference", ("r", photo(2)))]
            refused = await http.post(ROUTE, params={"kind": "contribution"}, files=files)
            check_refusal(refused, 422, "invalid_parameter", "kind=contribution")
            unknown = await http.post(ROUTE, params={"kind": "beauty"}, content=photo(1))
            check_refusal(unknown, 422, "invalid_parameter", "'information', 'contribution' or 'contrast'")

    asyncio.run(scenario())


def test_contrast_with_a_reference_is_the_own_map_less_the_cross_map(
    tiny_models: Path, index_url: str
) -> None:
    async def scenario() -> None:
        async with client(tiny_models, index_url) as http:
            files = [("image", ("a", photo(1))), ("reference", ("r", photo(2)))]
            own = only(await http.post(ROUTE, content=photo(1)))
            cross = only(await http.post(ROUTE, files=files))
            response = await http.post(ROUTE, files=files, data={"kind": "contrast"})
            np.testing.assert_allclose(only(response), own - cross, atol=1e-4)
            body = response.json()
            assert (body["kind"], body["unit"]) == ("contrast", "nats")
            assert body["reference"] == {"width": 32, "height": 32, "format": "JPEG"}
            # The bank cancels, and with it its error.
            assert "standard_error" not in body["data"][0]

    asyncio.run(scenario())


def test_contrast_without_a_reference_is_with_the_neighbours(tiny_models: Path, index_url: str) -> None:
    async def scenario() -> None:
        async with client(tiny_models, index_url) as http:
            alone = await http.post(ROUTE, params={"kind": "contrast"}, content=photo(1))
            check_refusal(alone, 422, "no_neighbours", "reference")
            for name, image in (("self", photo(1)), ("other", photo(2))):
                stored = await http.put(f"/v1/items/{name}", content=image)
                assert stored.status_code in (200, 201), stored.text
            found = only(await http.post(ROUTE, params={"kind": "contrast"}, content=photo(1)))
            files = [("image", ("a", photo(1))), ("reference", ("r", photo(2)))]
            with_the_other = only(await http.post(ROUTE, files=files, data={"kind": "contrast"}))
            # The image itself is no neighbour.
            np.testing.assert_allclose(found, with_the_other, atol=1e-3)
            streamed = await http.post(
                BATCH,
                params={"outputs": "mi_map", "kind": "contrast"},
                content=line(photo(1)),
                headers={"content-type": "application/x-ndjson"},
            )
            first = orjson.loads(streamed.content.splitlines()[0])
            np.testing.assert_allclose(first["mi_map"]["nats"], found, atol=1e-3)

    asyncio.run(scenario())


def test_streams_and_v2_answer_the_same_contributions(tiny_models: Path, index_url: str) -> None:
    async def scenario() -> None:
        async with client(tiny_models, index_url) as http:
            expected = only(
                await http.post(ROUTE, params={"kind": "contribution"}, content=photo(1)), "values"
            )
            query = {"outputs": "mi_map", "kind": "contribution"}
            ndjson = {"content-type": "application/x-ndjson"}
            streamed = await http.post(BATCH, params=query, content=line(photo(1)), headers=ndjson)
            first = orjson.loads(streamed.content.splitlines()[0])
            assert (first["mi_map"]["kind"], first["mi_map"]["unit"]) == ("contribution", "relative distance")
            np.testing.assert_allclose(first["mi_map"]["values"], expected, atol=1e-4)

            arrow = await http.post(
                BATCH,
                params=query,
                content=line(photo(1)),
                headers={**ndjson, "accept": "application/vnd.apache.arrow.stream"},
            )
            table = pa.ipc.open_stream(arrow.content).read_all()
            assert table.schema.metadata[b"infomax.mi_map.kind"] == b"contribution"
            assert table.schema.metadata[b"infomax.mi_map.unit"] == b"relative distance"
            np.testing.assert_allclose(table["mi_map"][0].as_py(), expected.ravel(), atol=1e-4)

            request = {
                "inputs": [{"name": "image", "shape": [1], "datatype": "BYTES", "data": [text(photo(1))]}],
                "outputs": [{"name": "mi_map"}],
                "parameters": {"kind": "contribution"},
            }
            (output,) = (await http.post(V2, json=request)).json()["outputs"]
            np.testing.assert_allclose(output["data"], expected.ravel(), atol=1e-4)

    asyncio.run(scenario())


def test_a_stream_without_neighbours_fails_image_by_image(tiny_models: Path, index_url: str) -> None:
    async def scenario() -> None:
        async with client(tiny_models, index_url) as http:
            streamed = await http.post(
                BATCH,
                params={"outputs": "mi_map", "kind": "contrast"},
                content=line(photo(1)),
                headers={"content-type": "application/x-ndjson"},
            )
            first, last = map(orjson.loads, streamed.content.splitlines())
            assert first["error"]["code"] == "no_neighbours"
            assert last["summary"]["by_code"] == {"no_neighbours": 1}

    asyncio.run(scenario())
