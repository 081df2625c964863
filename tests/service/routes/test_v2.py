"""The Open Inference Protocol, byte by byte; tests/end_to_end/test_triton_client.py has its real client."""

import asyncio
import base64
import json
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from service.errors import ServiceError
from service.inputs.v2 import HEADER, parse_inference
from tests.pictures import photo
from tests.service.client import client
from tests.tiny_model import EMBEDDING, GRID

MODEL = "/v2/models/tiny"
INFER = f"{MODEL}/infer"
MOST = 8


def tensor(images: list[bytes], **more: Any) -> dict[str, Any]:
    """The images as JSON has them."""
    data = [base64.b64encode(image).decode() for image in images]
    return {"name": "image", "datatype": "BYTES", "shape": [len(images)], "data": data, **more}


def packed(images: list[bytes]) -> bytes:
    """The images as a binary tensor."""
    return b"".join(len(image).to_bytes(4, "little") + image for image in images)


def binary(images: list[bytes], **request: Any) -> tuple[dict[str, str], bytes]:
    """Headers and body of a request with the images behind its JSON."""
    blob = packed(images)
    one = tensor(images, parameters={"binary_data_size": len(blob)})
    del one["data"]
    head = json.dumps({"inputs": [one], **request}).encode()
    return {HEADER: str(len(head))}, head + blob


def outputs(answer: httpx.Response) -> dict[str, NDArray[np.float32]]:
    """The tensors of an answer, wherever they stand."""
    assert answer.status_code == 200, answer.text
    split = int(answer.headers.get(HEADER, len(answer.content)))
    head, behind = json.loads(answer.content[:split]), answer.content[split:]
    found = {}
    for one in head["outputs"]:
        assert one["datatype"] == "FP32"
        size = one.get("parameters", {}).get("binary_data_size", 0)
        values = np.array(one["data"], "<f4") if "data" in one else np.frombuffer(behind[:size], "<f4")
        behind = behind[size:]
        found[one["name"]] = values.reshape(one["shape"])
    assert behind == b""
    return found


@given(st.lists(st.binary(max_size=40), min_size=1, max_size=MOST))
def test_images_come_out_of_a_binary_tensor_as_they_went_in(images: list[bytes]) -> None:
    headers, body = binary(images)
    assert parse_inference(body, headers[HEADER], MOST).images == images


@given(st.lists(st.binary(min_size=1, max_size=40), min_size=1, max_size=MOST))
def test_images_come_out_of_json_as_they_went_in(images: list[bytes]) -> None:
    assert parse_inference(json.dumps({"inputs": [tensor(images)]}).encode(), None, MOST).images == images


def test_elements_may_stand_in_lists_of_one() -> None:
    column = tensor([b"a", b"b"])
    column |= {"shape": [2, 1], "data": [[one] for one in column["data"]]}
    assert parse_inference(json.dumps({"inputs": [column]}).encode(), None, MOST).images == [b"a", b"b"]


@given(st.binary(max_size=60), st.integers(0, 80))
def test_no_body_is_misread_in_silence(body: bytes, split: int) -> None:
    try:
        found = parse_inference(body, str(split), MOST)
    except ServiceError as refusal:
        assert refusal.status in (400, 422)
    else:
        assert split == 0
        assert found.images == [body]


GOOD = tensor([b"a", b"b"])


@pytest.mark.parametrize(
    ("request_", "code", "says"),
    [
        ({}, "invalid_parameter", "inputs"),
        ({"inputs": []}, "invalid_parameter", "inputs"),
        ({"inputs": [GOOD, GOOD]}, "invalid_tensor", "there is one, 'image'"),
        ({"inputs": [{**GOOD, "name": "x"}]}, "invalid_tensor", "'x'"),
        ({"inputs": [{**GOOD, "datatype": "UINT8"}]}, "invalid_tensor", "BYTES"),
        ({"inputs": [{**GOOD, "shape": [3]}]}, "invalid_tensor", "2 elements"),
        ({"inputs": [{**GOOD, "shape": [1, 2]}]}, "invalid_tensor", "[N, 1]"),
        ({"inputs": [{**GOOD, "shape": [10**12]}]}, "too_many_items", "more than 8 images"),
        ({"inputs": [{**GOOD, "shape": [-2]}]}, "invalid_parameter", "inputs.0.shape"),
        ({"inputs": [{**GOOD, "data": ["?", "?"]}]}, "invalid_base64", "data[0]"),
        ({"inputs": [{**GOOD, "parameters": {"binary_data_size": 2}}]}, "invalid_tensor", "either"),
        ({"inputs": [GOOD], "parameters": {"sequence_id": 1}}, "invalid_parameter", "sequence_id"),
        ({"inputs": [GOOD], "parameters": {"timeout": -1}}, "invalid_parameter", "timeout"),
        (
            {"inputs": [GOOD], "outputs": [{"name": "embedding", "parameters": {"classification": 3}}]},
            "invalid_parameter",
            "classification",
        ),
    ],
)
def test_what_cannot_be_meant_is_refused_by_name(request_: dict[str, Any], code: str, says: str) -> None:
    with pytest.raises(ServiceError) as caught:
        parse_inference(json.dumps(request_).encode(), None, MOST)
    assert caught.value.code == code
    assert says in str(caught.value)


@pytest.mark.parametrize("change", [-1, 1])
def test_a_binary_tensor_of_another_length_is_refused(change: int) -> None:
    headers, body = binary([b"first", b"second"])
    longer = body + b"\0" if change > 0 else body[:-1]
    with pytest.raises(ServiceError) as caught:
        parse_inference(longer, headers[HEADER], MOST)
    assert caught.value.code == "invalid_tensor"


def test_more_images_than_allowed_are_refused_however_they_are_counted() -> None:
    images = [b"x"] * (MOST + 1)
    headers, body = binary(images)
    plain_body = json.dumps({"inputs": [tensor(images)]}).encode()
    for content, json_length in ((body, headers[HEADER]), (plain_body, None)):
        with pytest.raises(ServiceError) as caught:
            parse_inference(content, json_length, MOST)
        assert caught.value.code == "too_many_items"


def test_every_form_of_request_and_answer_says_the_same_as_v1(tiny_models: Path, index_url: str) -> None:
    images = [photo(seed) for seed in range(3)]

    async def scenario() -> None:
        async with client(tiny_models, index_url) as http:
            files = [("image", ("a.jpg", image)) for image in images]
            data = (await http.post("/v1/embeddings", files=files)).json()["data"]
            embeddings = np.array([one["embedding"] for one in data], np.float32)
            data = (await http.post("/v1/mi-maps", files=files)).json()["data"]
            maps = np.array([one["nats"] for one in data], np.float32)

            in_json = {"inputs": [tensor(images)]}
            headers, as_bytes = binary(images, parameters={"binary_data_output": True})
            one_of_each = [{"name": "mi_map", "parameters": {"binary_data": True}}, {"name": "embedding"}]
            for answer in (
                await http.post(INFER, json=in_json),
                await http.post(f"{MODEL}/versions/1/infer", json=in_json),
                await http.post(INFER, content=as_bytes, headers=headers),
                await http.post(INFER, json={**in_json, "outputs": one_of_each}),
            ):
                found = outputs(answer)
                np.testing.assert_allclose(found["embedding"], embeddings, atol=1e-5)
                np.testing.assert_allclose(found["mi_map"], maps, atol=1e-4)
                assert answer.headers["x-model"] == "tiny/1"
                assert "inference;dur=" in answer.headers["server-timing"]
            only = outputs(await http.post(INFER, json={**in_json, "outputs": [{"name": "embedding"}]}))
            assert list(only) == ["embedding"]
            # As curl sends a file.
            raw = await http.post(INFER, content=images[1], headers={HEADER: "0"})
            np.testing.assert_allclose(outputs(raw)["embedding"][0], embeddings[1], atol=1e-5)

    asyncio.run(scenario())


def test_an_answer_names_its_model_and_its_request(tiny_models: Path, index_url: str) -> None:
    async def scenario() -> None:
        async with client(tiny_models, index_url) as http:
            request = {"inputs": [tensor([photo()])], "id": "mine"}
            answer = (await http.post(INFER, json=request)).json()
            assert (answer["model_name"], answer["model_version"], answer["id"]) == ("tiny", "1", "mine")
            del request["id"]
            assert "id" not in (await http.post(INFER, json=request)).json()

    asyncio.run(scenario())


def test_what_is_served_is_described(tiny_models: Path, index_url: str) -> None:
    async def scenario() -> None:
        async with client(tiny_models, index_url) as http:
            assert (await http.get("/v2")).json()["extensions"] == ["binary_tensor_data"]
            assert (await http.get("/v2/health/live")).json() == {"live": True}
            assert (await http.get("/v2/health/ready")).json() == {"ready": True}
            model = (await http.get(MODEL)).json()
            assert model == (await http.get(f"{MODEL}/versions/1")).json()
            assert (model["name"], model["versions"]) == ("tiny", ["1"])
            assert [one["shape"] for one in model["outputs"]] == [[-1, EMBEDDING], [-1, GRID, GRID]]
            assert (await http.get(f"{MODEL}/ready")).json() == {"name": "tiny", "ready": True}
            index = (await http.post("/v2/repository/index")).json()
            assert [(one["name"], one["version"], one["state"]) for one in index] == [("tiny", "1", "READY")]
        async with client(tiny_models, index_url, models="tiny/1") as http:
            twice = (await http.post("/v2/repository/index")).json()
            assert twice == index

    asyncio.run(scenario())


def test_refusals_are_sentences_under_error_with_the_protocol_s_statuses(
    tiny_models: Path, index_url: str
) -> None:
    broken = photo()[:200]

    async def scenario() -> None:
        async with client(tiny_models, index_url, max_request_bytes=100_000) as http:
            for answer, status, code in (
                (
                    await http.post(INFER, json={"inputs": [tensor([photo(), broken])]}),
                    400,
                    "truncated_image",
                ),
                (await http.post(INFER, json={"inputs": [tensor([b"text"])]}), 400, "unsupported_format"),
                (await http.post(INFER, content=b"{"), 400, "invalid_json"),
                (await http.post(INFER, json={"inputs": [tensor([])]}), 400, "no_image"),
                (await http.post(INFER, content=b"x" * 100_001), 413, "request_too_large"),
                (await http.post("/v2/models/other/infer", content=b""), 404, "unknown_model"),
                (await http.get(f"{MODEL}/versions/2"), 404, "unknown_model"),
                (await http.get("/v2/models/stats"), 404, "unknown_model"),
                (await http.get("/v2/nothing"), 404, "no_such_route"),
                (await http.get(INFER), 405, "method_not_allowed"),
            ):
                refusal = answer.json()
                assert (answer.status_code, refusal["code"]) == (status, code), refusal
                assert isinstance(refusal["error"], str)
                assert answer.headers["content-type"] == "application/json"
                assert refusal["request_id"] == answer.headers["x-request-id"]
            two = await http.post(INFER, json={"inputs": [tensor([photo(), broken])]})
            assert two.json()["error"].startswith("Image 1: ")

    asyncio.run(scenario())


def test_an_answer_that_is_later_than_the_client_waits_is_given_up(tiny_models: Path, index_url: str) -> None:
    async def scenario() -> None:
        async with client(tiny_models, index_url) as http:
            request = {"inputs": [tensor([photo()] * 8)], "parameters": {"timeout": 1}}
            late = await http.post(INFER, json=request)
            assert (late.status_code, late.json()["code"]) == (504, "deadline_exceeded")
            assert "timeout" in late.json()["error"]

    asyncio.run(scenario())


@pytest.mark.parametrize("content_type", ["base64", "str"])
def test_what_mlserver_s_codecs_write_is_read(content_type: str) -> None:
    one = tensor([b"an image"], parameters={"content_type": content_type}, shape=[1, 1])
    request = {
        "inputs": [one],
        "parameters": {"content_type": content_type},
        "outputs": [{"name": "embedding", "parameters": {"content_type": "np"}}],
    }
    asked = parse_inference(json.dumps(request).encode(), None, MOST)
    assert asked.images == [b"an image"]
    assert [output.name for output in asked.outputs or ()] == ["embedding"]


@pytest.mark.parametrize(
    ("request_", "said"),
    [
        (
            {"inputs": [tensor([b"x"], parameters={"content_type": "np"})]},
            "inputs.0.parameters.content_type='np' is not allowed: input should be 'base64' or 'str'",
        ),
        ({"inputs": [tensor([b"x"])], "parameters": {"content_type": "pd"}}, "parameters.content_type='pd'"),
        (
            {"inputs": [tensor([b"x"], parameters={"binary_dat_size": 1})]},
            "There is no parameter 'binary_dat_size' in inputs.0.parameters. "
            "There are binary_data_size, content_type.",
        ),
        (
            {"inputs": [tensor([b"x"])], "outputs": [{"name": "embedding", "nam": 1}]},
            "There is no parameter 'nam' in outputs.0. There are name, parameters.",
        ),
        (
            {"inputs": [tensor([b"x"])], "inputz": []},
            "There is no parameter 'inputz' here. There are inputs, outputs, id, parameters.",
        ),
        ({"inputs": [3]}, "inputs.0=3 is not allowed: it must be an object"),
        ({"inputs": [tensor([b"x"], shape=[True])]}, "inputs.0.shape.0=true is not allowed"),
        ({"inputs": [tensor([b"x"])], "id": 7}, "id=7 is not allowed: it must be a string"),
        ({}, "The parameter inputs is missing."),
        ({"inputs": [tensor([])]}, "the tensor image has no elements"),
    ],
)
def test_a_message_names_the_place_and_what_may_stand_there(request_: dict[str, Any], said: str) -> None:
    with pytest.raises(ServiceError) as caught:
        parse_inference(json.dumps(request_).encode(), None, MOST)
    assert said in str(caught.value)
    assert "_Input" not in str(caught.value)


def test_a_binary_tensor_has_no_content_type() -> None:
    blob = packed([b"x"])
    one = {key: value for key, value in tensor([b"x"]).items() if key != "data"}
    one["parameters"] = {"binary_data_size": len(blob), "content_type": "base64"}
    head = json.dumps({"inputs": [one]}).encode()
    with pytest.raises(ServiceError, match="content_type 'base64' is one of data in the JSON"):
        parse_inference(head + blob, str(len(head)), MOST)
