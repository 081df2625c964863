"""Triton's own client against the real server and the shipped model."""

import asyncio
from collections.abc import Iterator
from typing import Any

import httpx
import numpy as np
import pyarrow.parquet as pq
import pytest
import tritonclient.http as triton
import tritonclient.http.aio as triton_aio
from numpy.typing import NDArray
from tritonclient.utils import InferenceServerException

from tests.end_to_end.server import ROOT, Server, serving

SAMPLES = ROOT / "tests" / "data" / "sample_test.parquet"
MODEL = "photos"


@pytest.fixture(scope="module")
def server(module_index: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    folder = tmp_path_factory.mktemp("triton")
    with serving(ROOT / "models", folder, model=MODEL, workers=1, database_url=module_index) as running:
        yield running


@pytest.fixture(scope="module")
def images() -> list[bytes]:
    return [row["img"]["bytes"] for row in pq.read_table(SAMPLES).to_pylist()[:24]]


@pytest.fixture(scope="module")
def embeddings(server: Server, images: list[bytes]) -> NDArray[np.float32]:
    """What the service's own interface says of the images."""
    files = [("image", ("a.jpg", image)) for image in images]
    data = httpx.post(f"{server.url}/v1/embeddings", files=files).json()["data"]
    return np.array([one["embedding"] for one in data], np.float32)


@pytest.fixture
def client(server: Server) -> Iterator[Any]:
    with triton.InferenceServerClient(server.url.removeprefix("http://")) as opened:
        yield opened


def tensor(module: Any, images: list[bytes]) -> Any:
    """The images as that client's input, sent as bytes, as it does by itself."""
    values = np.array(images, dtype=np.object_)
    one = module.InferInput("image", [len(images)], "BYTES")
    one.set_data_from_numpy(values)
    return one


def test_the_client_finds_the_server_and_the_model(client: Any) -> None:
    assert client.is_server_live()
    assert client.is_server_ready()
    assert client.is_model_ready(MODEL)
    assert not client.is_model_ready("other")
    assert client.get_server_metadata()["name"] == "infomax"
    (model,) = client.get_model_repository_index()
    metadata = client.get_model_metadata(MODEL, model["version"])
    assert metadata["versions"] == [model["version"]]
    assert [one["name"] for one in metadata["inputs"]] == ["image"]


@pytest.mark.parametrize("binary", [True, False])
def test_embeddings_are_those_of_the_service_s_own_interface(
    client: Any, images: list[bytes], embeddings: NDArray[np.float32], binary: bool
) -> None:
    wanted = [triton.InferRequestedOutput("embedding", binary_data=binary)]
    answer = client.infer(MODEL, [tensor(triton, images)], outputs=wanted, request_id="mine")
    np.testing.assert_allclose(answer.as_numpy("embedding"), embeddings, atol=1e-5)
    assert answer.as_numpy("mi_map") is None
    assert answer.get_response()["id"] == "mine"


def test_a_client_that_names_no_output_gets_all(client: Any, images: list[bytes]) -> None:
    answer = client.infer(MODEL, [tensor(triton, images)])
    shapes = [answer.as_numpy(name).shape for name in ("embedding", "mi_map")]
    assert [shape[0] for shape in shapes] == [len(images)] * 2


def test_the_asynchronous_client_is_answered_alike(
    server: Server, images: list[bytes], embeddings: NDArray[np.float32]
) -> None:
    async def ask() -> Any:
        async with triton_aio.InferenceServerClient(server.url.removeprefix("http://")) as opened:
            return await opened.infer(MODEL, [tensor(triton_aio, images)])

    np.testing.assert_allclose(asyncio.run(ask()).as_numpy("embedding"), embeddings, atol=1e-5)


def test_a_refusal_reaches_the_client_as_its_sentence(client: Any, images: list[bytes]) -> None:
    with pytest.raises(InferenceServerException) as caught:
        client.infer(MODEL, [tensor(triton, [images[0], images[1][:200]])])
    assert caught.value.status() == "400"
    assert caught.value.message().startswith("Image 1: ")
    with pytest.raises(InferenceServerException, match="No model 'other'"):
        client.infer("other", [tensor(triton, images)])


def test_a_file_as_curl_sends_it_is_an_image(server: Server, images: list[bytes]) -> None:
    headers = {"Inference-Header-Content-Length": "0"}
    answer = httpx.post(f"{server.url}/v2/models/{MODEL}/infer", content=images[0], headers=headers)
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "application/octet-stream"


def test_the_metrics_count_the_images_by_route(server: Server, client: Any, images: list[bytes]) -> None:
    client.infer(MODEL, [tensor(triton, images)])
    line = 'infomax_items_total{outcome="ok",route="/v2/models/{name}/infer"}'
    counts = [one for one in httpx.get(f"{server.url}/metrics").text.splitlines() if one.startswith(line)]
    assert float(counts[0].split()[-1]) >= len(images)
