"""POST /v1/embeddings, as its clients see it."""

import asyncio
import base64
import gzip
import zlib
from collections.abc import MutableMapping
from io import BytesIO
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import openai
import orjson
import pyarrow as pa
import pytest
from numpy.typing import NDArray
from prometheus_client import REGISTRY

from contract.artefact import open_artefact
from service.http.request_context import find_context
from tests.pictures import encoded, landscape, photo
from tests.service.client import check_refusal, client, openai_client
from tests.service.faults import FragileModel
from tests.tiny_model import EMBEDDING

ROUTE = "/v1/embeddings"
JPEG = {"content-type": "image/jpeg"}


def text(data: bytes) -> str:
    return base64.b64encode(data).decode()


def form(*images: bytes) -> list[tuple[str, tuple[str, bytes]]]:
    return [("image", ("a.jpg", image)) for image in images]


def vectors(response: httpx.Response) -> NDArray[np.float64]:
    assert response.status_code == 200, response.text
    data = response.json()["data"]
    assert [one["index"] for one in data] == list(range(len(data)))
    return np.array([one["embedding"] for one in data])


def array(response: httpx.Response) -> NDArray[np.float32]:
    assert response.status_code == 200, response.text
    loaded: NDArray[np.float32] = np.load(BytesIO(response.content), allow_pickle=False)
    return loaded


def test_the_card_s_golden_image_gets_the_card_s_embedding(tiny_models: Path, index_url: str) -> None:
    golden = open_artefact(tiny_models / "tiny" / "1").card.golden
    image = base64.b64decode(golden.image_base64)

    async def scenario() -> None:
        async with client(tiny_models, index_url) as http:
            response = await http.post(ROUTE, content=image, headers={"content-type": "image/png"})
            answer = response.json()
            np.testing.assert_allclose(vectors(response)[0], golden.embedding, atol=golden.tolerance)
            assert answer["object"] == "list"
            assert answer["model"] == "tiny/1"
            assert answer["usage"] == {"prompt_tokens": 0, "total_tokens": 0}
            assert answer["data"][0]["object"] == "embedding"

    asyncio.run(scenario())


def test_however_an_image_is_sent_its_embedding_is_the_same(tiny_models: Path, index_url: str) -> None:
    image = photo(7)

    async def scenario() -> None:
        async with client(tiny_models, index_url) as http:
            requests = [
                http.post(ROUTE, content=image),
                http.post(ROUTE, content=image, headers=JPEG),
                http.post(ROUTE, content=image, headers={"content-type": "application/octet-stream"}),
                # What curl says without -H.
                http.post(
                    ROUTE, content=image, headers={"content-type": "application/x-www-form-urlencoded"}
                ),
                http.post(ROUTE, files=form(image)),
                http.post(ROUTE, files={"any_name": ("", image, "image/jpeg")}),
                http.post(ROUTE, json={"input": text(image)}),
                http.post(ROUTE, json={"input": [text(image)], "model": "tiny", "user": "me"}),
                http.post(ROUTE, json={"input": f"data:image/jpeg;base64,{text(image)}", "model": "tiny/1"}),
            ]
            first, *others = [vectors(await request) for request in requests]
            for other in others:
                np.testing.assert_allclose(other, first, atol=1e-6)

    asyncio.run(scenario())


def test_another_order_of_images_is_another_order_of_embeddings(tiny_models: Path, index_url: str) -> None:
    images = [photo(seed) for seed in range(9)]
    order = np.random.default_rng(0).permutation(len(images))

    async def scenario() -> None:
        async with client(tiny_models, index_url) as http:
            straight = vectors(await http.post(ROUTE, files=form(*images)))
            turned = vectors(await http.post(ROUTE, json={"input": [text(images[i]) for i in order]}))
            np.testing.assert_allclose(turned, straight[order], atol=1e-5)
            assert len(np.unique(straight.round(3), axis=0)) == len(images)

    asyncio.run(scenario())


def test_every_format_holds_the_same_numbers(tiny_models: Path, index_url: str) -> None:
    images = [photo(seed) for seed in range(5)]

    async def scenario() -> None:
        async with client(tiny_models, index_url) as http:
            as_floats = vectors(await http.post(ROUTE, files=form(*images))).astype(np.float32)
            response = await http.post(ROUTE, files=form(*images), data={"encoding_format": "base64"})
            decoded = [base64.b64decode(one["embedding"]) for one in response.json()["data"]]
            np.testing.assert_array_equal([np.frombuffer(one, "<f4") for one in decoded], as_floats)
            response = await http.post(ROUTE, files=form(*images), headers={"accept": "application/x-npy"})
            assert response.headers["content-type"] == "application/x-npy"
            np.testing.assert_array_equal(array(response), as_floats)
            assert array(response).dtype == np.float32
            response = await http.post(
                ROUTE, files=form(*images), headers={"accept": "application/vnd.apache.arrow.stream"}
            )
            assert response.headers["content-type"] == "application/vnd.apache.arrow.stream"
            with pa.ipc.open_stream(response.content) as stream:
                assert stream.schema.metadata == {b"infomax.model": b"tiny/1"}
                table = stream.read_all()
            assert table["index"].to_pylist() == [0, 1, 2, 3, 4]
            assert table.schema.field("embedding").type == pa.list_(pa.float32(), EMBEDDING)
            np.testing.assert_array_equal(table["embedding"].to_pylist(), as_floats)

    asyncio.run(scenario())


def test_fewer_dimensions_are_the_first_ones_at_length_one(tiny_models: Path, index_url: str) -> None:
    async def scenario() -> None:
        async with client(tiny_models, index_url) as http:
            whole = vectors(await http.post(ROUTE, content=photo(), headers=JPEG))
            for dimensions in (1, 7, EMBEDDING):
                response = await http.post(f"{ROUTE}?dimensions={dimensions}", content=photo(), headers=JPEG)
                expected = whole[:, :dimensions] / np.linalg.norm(whole[:, :dimensions])
                np.testing.assert_allclose(vectors(response), expected, atol=1e-6)
            same = await http.post(ROUTE, json={"input": text(photo()), "dimensions": 7})
            assert vectors(same).shape == (1, 7)

    asyncio.run(scenario())


def test_the_openai_client_gets_its_embeddings(tiny_models: Path, index_url: str) -> None:
    images = [text(photo(seed)) for seed in range(3)]

    async def scenario() -> None:
        async with client(tiny_models, index_url) as http:
            expected = vectors(await http.post(ROUTE, json={"input": images}))
            genuine = openai_client(http)
            # Base64 by default, decoded by the client.
            answer = await genuine.embeddings.create(model="tiny", input=images)
            assert answer.model == "tiny/1"
            np.testing.assert_allclose([one.embedding for one in answer.data], expected, atol=1e-5)
            short = await genuine.embeddings.create(
                model="tiny/1", input=images[0], encoding_format="float", dimensions=4
            )
            first = expected[0, :4] / np.linalg.norm(expected[0, :4])
            np.testing.assert_allclose(short.data[0].embedding, first, atol=1e-5)
            with pytest.raises(openai.NotFoundError, match=r"There is tiny/1"):
                await genuine.embeddings.create(model="text-embedding-3-small", input=images)
            with pytest.raises(openai.UnprocessableEntityError) as caught:
                await genuine.embeddings.create(model="tiny", input="a cat on a mat")
            assert caught.value.code == "invalid_base64"

    asyncio.run(scenario())


REFUSALS: list[tuple[dict[str, Any], int, str, str]] = [
    ({"content": b"", "headers": JPEG}, 400, "empty_image", "0 bytes"),
    ({"content": b"no image", "headers": JPEG}, 415, "unsupported_format", "JPEG, PNG"),
    ({"content": photo()[:-300], "headers": JPEG}, 422, "truncated_image", "whole file"),
    (
        {"content": b"a=b&c=d", "headers": {"content-type": "application/x-www-form-urlencoded"}},
        415,
        "unsupported_media_type",
        "image/jpeg",
    ),
    ({"content": b"x", "headers": {"content-type": "text/csv"}}, 415, "unsupported_media_type", "csv"),
    ({"content": b"{", "headers": {"content-type": "application/json"}}, 400, "invalid_json", "parsed"),
    (
        {"content": b"request.json", "headers": {"content-type": "application/json"}},
        400,
        "invalid_json",
        "write @ before it",
    ),
    ({"json": [1]}, 400, "invalid_json", "object"),
    ({"json": {}}, 422, "no_image", "member input"),
    ({"json": {"input": []}}, 422, "no_image", "the list input is empty"),
    ({"content": b"", "headers": {"content-type": "application/json"}}, 400, "invalid_json", "it is empty"),
    (
        {"content": b"", "headers": {"content-type": "application/x-www-form-urlencoded"}},
        400,
        "empty_image",
        "0 bytes",
    ),
    ({"json": {"input": text(photo()), "modality": "text"}}, 422, "invalid_parameter", "modality='text'"),
    ({"json": {"input": "a red dress", "modality": "text"}}, 422, "invalid_parameter", "modality='text'"),
    ({"json": {"input": text(photo()), "modality": 1}}, 422, "invalid_parameter", "modality=1"),
    ({"json": {"input": text(photo()), "dimensions": True}}, 422, "invalid_parameter", "dimensions=true"),
    (
        {"content": photo(), "headers": JPEG | {"content-encoding": "br"}},
        415,
        "unsupported_encoding",
        "'br' is not read",
    ),
    (
        {"content": photo(), "headers": JPEG | {"content-encoding": "gzip"}},
        400,
        "invalid_encoding",
        "not the gzip",
    ),
    ({"json": {"image": text(photo())}}, 422, "invalid_parameter", "There are input, model"),
    ({"json": {"input": 3}}, 422, "invalid_base64", "input must be a string"),
    ({"json": {"input": [text(photo()), [1, 2]]}}, 422, "invalid_base64", "input[1]"),
    ({"json": {"input": ["https://example.org/a.jpg"]}}, 422, "url_not_fetched", "fetches nothing"),
    ({"json": {"input": text(photo()), "modle": "tiny"}}, 422, "invalid_parameter", "'modle'"),
    ({"json": {"input": text(photo()), "encoding_format": "int8"}}, 422, "invalid_parameter", "base64"),
    ({"json": {"input": text(photo()), "dimensions": 0}}, 422, "invalid_parameter", "dimensions=0"),
    ({"json": {"input": text(photo()), "dimensions": 21}}, 422, "invalid_parameter", "have 20"),
    ({"json": {"input": text(photo()), "model": "resnet"}}, 404, "unknown_model", "tiny/1"),
    ({"json": {"input": text(photo()), "model": "tiny/2"}}, 404, "unknown_model", "tiny/1"),
    ({"json": {"input": text(photo()), "model": 5}}, 422, "invalid_parameter", "model=5"),
    ({"files": {"model": (None, "tiny")}}, 422, "no_image", "file of the form"),
    (
        {"content": b"x", "headers": {"content-type": "multipart/form-data; boundary=b"}},
        400,
        "malformed_multipart",
        "taken apart",
    ),
    (
        {"content": photo(), "headers": {**JPEG, "accept": "image/png"}},
        406,
        "not_acceptable",
        "application/x-npy",
    ),
    (
        {"content": photo(), "headers": JPEG, "params": [("dimensions", "1"), ("dimensions", "2")]},
        422,
        "invalid_parameter",
        "given twice",
    ),
    (
        {"json": {"input": text(photo()), "model": "tiny"}, "params": {"model": "tiny"}},
        422,
        "invalid_parameter",
        "given twice",
    ),
]


def test_a_refusal_says_what_is_wrong(tiny_models: Path, index_url: str) -> None:
    async def scenario() -> None:
        async with client(tiny_models, index_url) as http:
            for request, status, code, says in REFUSALS:
                check_refusal(await http.post(ROUTE, **request), status, code, says)
            # The service is none the worse for it.
            assert (await http.post(ROUTE, content=photo())).status_code == 200

    asyncio.run(scenario())


def test_one_bad_image_refuses_the_request_and_is_named_by_its_place(
    tiny_models: Path, index_url: str
) -> None:
    async def scenario() -> None:
        async with client(tiny_models, index_url) as http:
            response = await http.post(ROUTE, files=form(photo(1), photo(2), b"no image", photo(3)))
            assert response.status_code == 415
            assert response.json()["detail"].startswith("Image 2: ")
            alone = await http.post(ROUTE, files=form(b"no image"))
            assert alone.json()["detail"].startswith("The bytes")

    asyncio.run(scenario())


def test_limits_are_stated_with_the_setting_that_raises_them(tiny_models: Path, index_url: str) -> None:
    async def scenario() -> None:
        limits = {"max_request_items": 3, "max_request_bytes": 20_000, "max_image_bytes": 5_000}
        async with client(tiny_models, index_url, **limits) as http:
            full = await http.post(ROUTE, files=form(*[photo()] * 3))
            assert full.status_code == 200
            large = encoded(landscape(400, 400), "BMP")[:6_000]
            cases: list[tuple[dict[str, Any], str, int, str]] = [
                ({"files": form(*[photo()] * 4)}, "too_many_items", 3, "INFOMAX_MAX_REQUEST_ITEMS"),
                ({"json": {"input": ["AAAA"] * 4}}, "too_many_items", 3, "INFOMAX_MAX_REQUEST_ITEMS"),
                ({"content": bytes(20_001)}, "request_too_large", 20_000, "INFOMAX_MAX_REQUEST_BYTES"),
                ({"content": large}, "image_too_large", 5_000, "INFOMAX_MAX_IMAGE_BYTES"),
            ]
            for request, code, limit, setting in cases:
                response = await http.post(ROUTE, **request)
                problem = response.json()
                assert (response.status_code, problem["code"]) == (413, code)
                assert (problem["limit"], problem["setting"]) == (limit, setting)

    asyncio.run(scenario())


def test_a_full_service_refuses_and_says_when_to_come_back(tiny_models: Path, index_url: str) -> None:
    async def scenario() -> None:
        model = FragileModel(tiny_models)
        async with client(tiny_models, index_url, model, queue_items=2) as http:
            model.gate.clear()
            waiting = asyncio.create_task(http.post(ROUTE, files=form(photo(), photo())))
            await asyncio.to_thread(model.entered.wait, 30)
            refused = await http.post(ROUTE, content=photo())
            model.gate.set()
            assert (await waiting).status_code == 200
            assert (refused.status_code, refused.json()["code"]) == (503, "overloaded")
            assert int(refused.headers["retry-after"]) >= 1

    asyncio.run(scenario())


def test_a_client_who_leaves_takes_his_images_with_him(tiny_models: Path, index_url: str) -> None:
    def cancelled() -> float:
        return REGISTRY.get_sample_value("infomax_rejections_total", {"reason": "client_gone"}) or 0

    async def scenario() -> None:
        model = FragileModel(tiny_models)
        async with client(tiny_models, index_url, model, queue_items=1) as http:
            transport = http._transport
            assert isinstance(transport, httpx.ASGITransport)
            app = transport.app
            model.gate.clear()
            model.entered.clear()
            sent: list[MutableMapping[str, Any]] = []

            async def receive() -> dict[str, Any]:
                return {"type": "http.request", "body": photo(), "more_body": False}

            async def send(message: MutableMapping[str, Any]) -> None:
                sent.append(message)

            scope: dict[str, Any] = {
                "type": "http",
                "method": "POST",
                "path": ROUTE,
                "headers": [(b"content-type", b"image/jpeg")],
                "query_string": b"",
                "state": {},
            }
            before = cancelled()
            request = asyncio.ensure_future(app(scope, receive, send))
            await asyncio.to_thread(model.entered.wait, 30)
            context = find_context(scope)
            assert context is not None
            context.disconnect()
            await request
            assert cancelled() == before + 1
            assert sent[0]["status"] == 499
            # The one place is free again, although the model is still at it.
            model.gate.set()
            assert (await http.post(ROUTE, content=photo())).status_code == 200

    asyncio.run(scenario())


def test_an_answer_says_where_its_time_went(tiny_models: Path, index_url: str) -> None:
    async def scenario() -> None:
        async with client(tiny_models, index_url) as http:
            response = await http.post(ROUTE, content=photo())
            entries = dict(entry.split(";dur=") for entry in response.headers["server-timing"].split(", "))
            assert list(entries) == ["decode", "queue", "inference", "serialise"]
            assert all(float(duration) >= 0 for duration in entries.values())
            assert float(entries["decode"]) > 0

    asyncio.run(scenario())


def test_images_are_counted_by_route_and_outcome(tiny_models: Path, index_url: str) -> None:
    def counted(outcome: str) -> float:
        labels = {"route": ROUTE, "outcome": outcome}
        return REGISTRY.get_sample_value("infomax_items_total", labels) or 0

    async def scenario() -> None:
        async with client(tiny_models, index_url) as http:
            before = counted("ok"), counted("unsupported_format")
            await http.post(ROUTE, files=form(photo(), b"no image", photo()))
            assert (counted("ok"), counted("unsupported_format")) == (before[0] + 2, before[1] + 1)

    asyncio.run(scenario())


def test_a_compressed_body_and_infinity_s_modality_change_nothing(tiny_models: Path, index_url: str) -> None:
    body = orjson.dumps({"input": [text(photo(1)), text(photo(2))], "modality": "image"})

    async def scenario() -> None:
        async with client(tiny_models, index_url) as http:
            plain = await http.post(ROUTE, content=body, headers={"content-type": "application/json"})
            assert plain.status_code == 200
            for coding, encode in (("gzip", gzip.compress), ("deflate", zlib.compress)):
                headers = {"content-type": "application/json", "content-encoding": coding}
                answer = await http.post(ROUTE, content=encode(b"\xef\xbb\xbf" + body), headers=headers)
                assert answer.json()["data"] == plain.json()["data"]

    asyncio.run(scenario())
