"""The shipped model behind the real server, on real images: what the README promises."""

import io
import json
import tarfile
import threading
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pyarrow.parquet as pq
import pytest
from numpy.typing import NDArray

from contract.card import ModelCard
from infomax.client import Client
from tests.end_to_end.server import ROOT, Server, serving

MODELS = ROOT / "models"
SAMPLES = ROOT / "tests" / "data"
TAR = {"Content-Type": "application/x-tar"}
NDJSON = {"Content-Type": "application/x-ndjson"}


@dataclass(frozen=True)
class Picture:
    """A CIFAR-10 image as it lies in the sample: a name, JPEG bytes and a class."""

    name: str
    data: bytes
    label: int


def pictures(part: str) -> list[Picture]:
    rows = pq.read_table(SAMPLES / f"sample_{part}.parquet").to_pylist()
    return [
        Picture(f"{part}/{number:03}.jpg", row["img"]["bytes"], row["label"])
        for number, row in enumerate(rows)
    ]


def packed(items: list[tuple[str, bytes]]) -> bytes:
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w") as archive:
        for name, data in items:
            member = tarfile.TarInfo(name)
            member.size = len(data)
            archive.addfile(member, io.BytesIO(data))
    return file.getvalue()


def lines_of(answer: httpx.Response) -> list[dict[str, Any]]:
    assert answer.status_code == 200, answer.text
    return [json.loads(line) for line in answer.text.splitlines()]


@pytest.fixture(scope="module")
def server(module_index: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    folder = tmp_path_factory.mktemp("shipped")
    with serving(MODELS, folder, model="cifar10", workers=1, database_url=module_index) as running:
        yield running


@pytest.fixture(scope="module")
def http(server: Server) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=server.url, timeout=60) as client:
        yield client


@pytest.fixture(scope="module")
def card(http: httpx.Client) -> ModelCard:
    (model,) = http.get("/v1/models").json()["data"]
    return ModelCard.model_validate(model["card"])


@pytest.fixture(scope="module")
def indexed(http: httpx.Client) -> list[Picture]:
    """The sample of training images, stored."""
    stored = pictures("train")
    body = packed([(picture.name, picture.data) for picture in stored])
    *answers, end = lines_of(http.post("/v1/items", content=body, headers=TAR))
    assert [answer["id"] for answer in answers] == [picture.name for picture in stored]
    assert end["summary"]["errors"] == 0
    return stored


def test_a_photo_posted_with_curl_s_bytes_gets_an_embedding_of_length_one(http: httpx.Client) -> None:
    picture = pictures("test")[0]
    answer = http.post("/v1/embeddings", content=picture.data, headers={"Content-Type": "image/jpeg"}).json()
    (item,) = answer["data"]
    assert np.linalg.norm(item["embedding"]) == pytest.approx(1, abs=1e-5)


def test_the_mean_of_the_maps_is_the_card_s_estimate(http: httpx.Client, card: ModelCard) -> None:
    files = [
        ("image", (picture.name, picture.data, "image/jpeg"))
        for part in ("train", "test")
        for picture in pictures(part)
        if part == "test"
    ]
    response = http.post("/v1/mi-maps", files=files)
    assert response.status_code == 200, response.text
    maps = response.json()["data"]
    means = [one["mean"] for one in maps]
    measured = card.calibration
    one_image = measured.mi_standard_error * np.sqrt(measured.images)
    allowed = 4 * one_image / np.sqrt(len(means)) + measured.bank_error_nats
    assert abs(np.mean(means) - measured.mi_nats) < allowed
    assert measured.shuffled_nats < 0 < measured.mi_nats


def test_a_map_of_another_image_s_code_is_lower(http: httpx.Client) -> None:
    first, second = pictures("test")[:2]
    files = {"image": (first.name, first.data, "image/jpeg")}
    own = http.post("/v1/mi-maps", files=files).json()["data"][0]["mean"]
    other = http.post(
        "/v1/mi-maps", files={**files, "reference": (second.name, second.data, "image/jpeg")}
    ).json()["data"][0]["mean"]
    assert other < own


def test_a_map_as_a_picture(http: httpx.Client) -> None:
    picture = pictures("test")[0]
    headers = {"Content-Type": "image/jpeg", "Accept": "image/png"}
    answer = http.post("/v1/mi-maps", content=picture.data, headers=headers)
    assert answer.headers["content-type"] == "image/png"
    assert answer.content.startswith(b"\x89PNG")


def test_an_indexed_image_finds_itself_first(http: httpx.Client, indexed: list[Picture]) -> None:
    for picture in indexed[::15]:
        headers = {"Content-Type": "image/jpeg"}
        found = http.post("/v1/neighbours", content=picture.data, headers=headers).json()["neighbours"]
        assert found[0]["id"] == picture.name
        assert found[0]["score"] == pytest.approx(1, abs=1e-4)


def test_neighbours_of_unseen_images_are_of_their_kind(http: httpx.Client, indexed: list[Picture]) -> None:
    """Far above the 10 % of chance: the index searches by meaning, not by pixels alone."""
    label = {picture.name: picture.label for picture in indexed}
    asked = pictures("test")
    body = packed([(picture.name, picture.data) for picture in asked])
    answer = http.post("/v1/batch?outputs=neighbours&k=5", content=body, headers=TAR)
    *lines, _ = lines_of(answer)
    votes = [Counter(label[hit["id"]] for hit in line["neighbours"]).most_common(1)[0][0] for line in lines]
    right = [vote == picture.label for vote, picture in zip(votes, asked, strict=True)]
    assert np.mean(right) > 0.3


def test_explanations_are_cross_maps(http: httpx.Client, indexed: list[Picture]) -> None:
    headers = {"Content-Type": "image/jpeg"}
    (hit,) = http.post("/v1/neighbours?k=1&explain=true", content=indexed[0].data, headers=headers).json()[
        "neighbours"
    ]
    (own,) = http.post("/v1/mi-maps", content=indexed[0].data, headers=headers).json()["data"]
    np.testing.assert_allclose(hit["explanation"]["nats"], own["nats"], atol=1e-3)


def test_three_broken_files_in_a_hundred_cost_only_themselves(http: httpx.Client) -> None:
    good = pictures("train")[:97]
    items = [(picture.name, picture.data) for picture in good]
    broken = {"empty.jpg": b"", "notes.txt": b"not an image", "cut.jpg": good[0].data[:-200]}
    for place, (name, data) in zip((5, 50, 99), broken.items(), strict=True):
        items.insert(place, (name, data))
    *lines, end = lines_of(http.post("/v1/batch", content=packed(items), headers=TAR))
    assert [line["id"] for line in lines] == [name for name, _ in items]
    assert [line["index"] for line in lines] == list(range(100))
    failed = {line["id"]: line["error"]["code"] for line in lines if line["status"] == "error"}
    assert failed == {
        "empty.jpg": "empty_image",
        "notes.txt": "unsupported_format",
        "cut.jpg": "truncated_image",
    }
    assert end["summary"]["ok"] == 97
    embeddings = np.array([line["embedding"] for line in lines if line["status"] == "ok"])
    alone = embedding_of(http, good[3])
    np.testing.assert_allclose(embeddings[3], alone, atol=1e-4)


def embedding_of(http: httpx.Client, picture: Picture) -> NDArray[np.float64]:
    answer = http.post("/v1/embeddings", content=picture.data, headers={"Content-Type": "image/jpeg"})
    return np.array(answer.json()["data"][0]["embedding"])


def test_every_acknowledged_item_survives_kill_9(tmp_path: Path) -> None:
    """The server is killed while a stream of items is being stored, at a moment that nobody chose."""
    source = pictures("train")
    acknowledged: list[str] = []
    enough = threading.Event()

    def store(url: str) -> None:
        items = [(f"{turn}/{picture.name}", picture.data) for turn in range(20) for picture in source]
        body = packed(items)
        try:
            with httpx.stream("POST", f"{url}/v1/items", content=body, headers=TAR, timeout=60) as answer:
                for line in answer.iter_lines():
                    if '"status":"ok"' in line:
                        acknowledged.append(json.loads(line)["id"])
                    if len(acknowledged) > 100:
                        enough.set()
        except httpx.TransportError:
            # The server was killed: that is the point.
            enough.set()

    with serving(MODELS, tmp_path, model="cifar10") as server:
        storing = threading.Thread(target=store, args=(server.url,))
        storing.start()
        assert enough.wait(60)
        server.kill()
        storing.join(60)
        assert not storing.is_alive()
    assert len(acknowledged) > 100
    with (
        serving(MODELS, tmp_path, model="cifar10", workers=1) as again,
        httpx.Client(base_url=again.url) as http,
    ):
        with Client(again.url) as client:
            assert set(acknowledged) - {item.id for item in client.list_items()} == set()
        # Those at the end were stored last.
        lost = [name for name in acknowledged[-100:] if http.get(f"/v1/items/{name}").status_code != 200]
        assert lost == []
        (space,) = http.get("/v1/index").json()["spaces"]
        assert space["items"] >= len(acknowledged)
