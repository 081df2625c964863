"""Several models in one process, and a version that replaces another."""

import asyncio
import weakref
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from unittest.mock import patch

import httpx
import numpy as np
import pytest

from contract.artefact import open_artefact
from service.app import create_app
from service.inference.device_choice import DeviceChoice
from service.inference.model import Model
from service.runtime import Runtime
from tests import tiny_model
from tests.pictures import photo
from tests.service.client import check_refusal
from tests.service.faults import FragileModel, settings
from tests.tiny_model import build_tiny_model

IMAGE: dict[str, Any] = {"content": photo(), "headers": {"Content-Type": "image/jpeg"}}


@pytest.fixture(scope="module")
def two_versions(tmp_path_factory: pytest.TempPathFactory) -> Path:
    models = tmp_path_factory.mktemp("two")
    build_tiny_model(models, version=1)
    build_tiny_model(models, version=2, seed=1)
    with patch.multiple(tiny_model, NAME="other", EMBEDDING=7):
        build_tiny_model(models, seed=5)
    return models


def opened(models: Path, name: str) -> Model:
    return Model(open_artefact(models / name), DeviceChoice("cpu", on_gpu=False), threads_per_run=1)


@asynccontextmanager
async def started(runtime: Runtime) -> AsyncIterator[httpx.AsyncClient]:
    """Start a runtime and make a client of it; stop it at the end."""
    transport = httpx.ASGITransport(create_app(runtime))
    await runtime.start()
    try:
        async with httpx.AsyncClient(transport=transport, base_url="http://infomax") as client:
            yield client
    finally:
        await runtime.stop()


def test_a_request_names_its_model_and_no_name_means_the_default(two_versions: Path, index_url: str) -> None:
    async def scenario() -> None:
        runtime = Runtime.load(settings(two_versions, models="tiny/1,other"), index_url)
        async with started(runtime) as client:
            for name, model in {
                None: "tiny/2",
                "tiny": "tiny/2",
                "tiny/2": "tiny/2",
                "tiny/1": "tiny/1",
                "other": "other/1",
            }.items():
                query = {"model": name} if name else {}
                answer = await client.post("/v1/embeddings", params=query, **IMAGE)
                assert (answer.json()["model"], answer.headers["X-Model"]) == (model, model)
            stored = await client.put("/v1/items/a?model=tiny/1", **IMAGE)
            assert stored.json()["model"] == "tiny/1"
            assert (await client.get("/v1/items/a?model=tiny/1")).status_code == 200
            check_refusal(await client.get("/v1/items/a"), 404, "item_not_found", "tiny/2")
            check_refusal(await client.get("/v1/items/a?modle=x"), 422, "invalid_parameter", "'modle'")
            check_refusal(await client.get("/v1/index?model=x"), 404, "unknown_model", "other/1")
            assert (await client.get("/v1/index?model=other")).json()["dimensions"] == 7
            listed = (await client.get("/v1/models")).json()["data"]
            assert [model["id"] for model in listed] == ["tiny/2", "tiny/1", "other/1"]

    asyncio.run(scenario())


def test_a_request_ends_on_the_version_that_it_began_on_which_is_freed_then(
    two_versions: Path, index_url: str
) -> None:
    async def scenario() -> None:
        old = FragileModel(two_versions)
        gone = weakref.ref(old)
        runtime = Runtime.load(settings(two_versions), index_url, {"tiny": old})
        async with started(runtime) as client:
            before = (await client.post("/v1/embeddings", **IMAGE)).json()
            old.gate.clear()
            slow = asyncio.create_task(client.post("/v1/embeddings", **IMAGE))
            await asyncio.to_thread(old.entered.wait, 30)
            new = runtime.models.new("tiny", opened(two_versions, "tiny/2"))
            await new.start()
            runtime.models.activate(new)
            after = (await client.post("/v1/embeddings", **IMAGE)).json()
            assert after["model"] == "tiny/2"
            assert not slow.done()
            old.gate.set()
            answer = await slow
            assert answer.headers["X-Model"] == answer.json()["model"] == "tiny/1"
            vectors = [np.array(one["data"][0]["embedding"]) for one in (before, answer.json(), after)]
            np.testing.assert_array_equal(vectors[0], vectors[1])
            assert np.abs(vectors[0] - vectors[2]).max() > 0.01
            # Its threads end, and its sessions are freed.
            await asyncio.gather(*runtime.models._retiring.values())
            assert runtime.models.readiness.ready
            del old
            assert gone() is None

    asyncio.run(scenario())


def test_a_request_that_runs_on_a_retired_version_at_the_end_is_refused(
    two_versions: Path, index_url: str
) -> None:
    async def scenario() -> None:
        old = FragileModel(two_versions)
        runtime = Runtime.load(settings(two_versions, drain_seconds=0), index_url, {"tiny": old})
        async with started(runtime) as client:
            old.gate.clear()
            slow = asyncio.create_task(client.post("/v1/embeddings", **IMAGE))
            await asyncio.to_thread(old.entered.wait, 30)
            new = runtime.models.new("tiny", opened(two_versions, "tiny/2"))
            await new.start()
            runtime.models.activate(new)
            draining = asyncio.create_task(runtime.drain())
            check_refusal(await slow, 503, "shutting_down", "again")
            old.gate.set()
            await draining

    asyncio.run(scenario())
