"""Drift metrics."""

import asyncio
import base64
from pathlib import Path

import numpy as np
import orjson
import pyarrow.parquet as pq
import pytest
from prometheus_client import REGISTRY, CollectorRegistry, Histogram

from contract.artefact import open_artefact
from contract.images import decode
from service.inference.device_choice import DeviceChoice
from service.inference.histograms import observe_all
from service.inference.model import Model
from service.inference.results import Want
from tests.pictures import photo
from tests.service.faults import running

ROOT = Path(__file__).parents[3]


def total(name: str, **labels: str) -> float:
    return REGISTRY.get_sample_value(name, labels) or 0.0


@pytest.mark.parametrize("count", [0, 1, 50])
def test_many_observations_at_once_are_those_one_by_one(count: int) -> None:
    registry = CollectorRegistry()
    values = np.random.default_rng(0).normal(1, 2, count).astype(np.float32)
    # Bounds belong to the bucket below, and what is beyond the last one to none but the whole.
    values[: count // 5] = 2.0
    values[count // 5 : count // 4] = 99.0
    together, alone = (
        Histogram(name, name, ["model"], buckets=(-1.0, 0.0, 2.0, 3.0), registry=registry).labels("a")
        for name in ("together", "alone")
    )
    observe_all(together, values)
    for value in values.tolist():
        alone.observe(value)
    samples = {
        name: [
            (one.labels.get("le"), one.value) for one in family.samples if not one.name.endswith("_created")
        ]
        for name, family in ((family.name, family) for family in registry.collect())
    }
    assert [label for label, _ in samples["together"]] == [label for label, _ in samples["alone"]]
    assert [value for _, value in samples["together"]] == pytest.approx(
        [value for _, value in samples["alone"]]
    )


def test_images_like_those_of_the_training_are_near_and_others_far() -> None:
    artefact = open_artefact(ROOT / "models" / "clothing" / "2")
    model = Model(artefact, DeviceChoice("cpu", on_gpu=False), threads_per_run=1)
    lines = (ROOT / "service" / "page" / "samples.ndjson").read_bytes().splitlines()[:8]
    clothes = [base64.b64decode(orjson.loads(line)["image"]) for line in lines]
    table = pq.read_table(ROOT / "tests" / "data" / "sample_test.parquet").to_pylist()[:8]
    near, far = (
        model.encode(
            np.stack([decode(image, model.card.preprocessing).pixels for image in images]), features=False
        ).training_distance
        for images in (clothes, [row["img"]["bytes"] for row in table])
    )
    assert np.median(near) == pytest.approx(1, abs=0.25)
    assert far.min() > 1.3


def test_maps_are_observed_in_nats_where_they_are_asked_for(tiny_models: Path) -> None:
    async def scenario() -> None:
        async with running(tiny_models) as pipeline:
            before = total("infomax_map_nats_count", model="tiny/1")
            await pipeline.embed([photo(seed) for seed in range(3)], Want.EMBEDDING)
            assert total("infomax_map_nats_count", model="tiny/1") == before
            await pipeline.embed([photo(seed) for seed in range(3)], Want.MAP)
            assert total("infomax_map_nats_count", model="tiny/1") == before + 3

    asyncio.run(scenario())


@pytest.mark.parametrize(
    ("image", "format_", "code"),
    [(photo()[:-300], "JPEG", "truncated_image"), (b"no image", "unknown", "unsupported_format")],
)
def test_images_that_cannot_be_decoded_count_by_format(
    tiny_models: Path, image: bytes, format_: str, code: str
) -> None:
    async def scenario() -> None:
        async with running(tiny_models) as pipeline:
            before = total("infomax_decode_errors_total", format=format_, code=code)
            await pipeline.embed([image], Want.EMBEDDING)
            assert total("infomax_decode_errors_total", format=format_, code=code) == before + 1

    asyncio.run(scenario())
