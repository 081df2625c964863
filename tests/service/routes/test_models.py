"""What is served, and what it runs on."""

import asyncio
from pathlib import Path

import openai
import pytest

from contract.card import ModelCard
from tests.service.client import client, openai_client


def test_the_list_holds_the_card_and_what_really_runs(tiny_models: Path, index_url: str) -> None:
    async def scenario() -> None:
        async with client(tiny_models, index_url, workers=2, runs=3) as http:
            answer = (await http.get("/v1/models")).json()
        assert answer["object"] == "list"
        (model,) = answer["data"]
        card = ModelCard.model_validate(model.pop("card"))
        assert (card.id, card.preprocessing_sha256) == ("tiny/1", model["preprocessing_sha256"])
        assert (model["id"], model["object"], model["owned_by"]) == ("tiny/1", "model", "infomax")
        assert model["state"] == "ready"
        assert model["created"] == int(card.created.timestamp())
        assert model["warm_up_images_per_second"] > 0
        assert model["execution"].pop("runtime").startswith("onnxruntime")
        assert model["execution"] == {
            "requested": "cpu",
            "active": "CPUExecutionProvider",
            "providers": ["CPUExecutionProvider"],
            "nodes": {"CPUExecutionProvider": 34},
            "why_not_gpu": None,
            "gpu": {"asked": {}, "active": {}},
            "processes": 2,
            "runs_per_process": 3,
            "threads_per_run": 1,
            "precision": {
                "requested": "auto",
                "active": "fp32",
                "why_not_int8": "The model has no int8 encoder.",
            },
        }

    asyncio.run(scenario())


@pytest.mark.parametrize("name", ["tiny", "tiny/1", "tiny%2F1"])
def test_a_model_answers_to_its_name_with_and_without_version(
    name: str, tiny_models: Path, index_url: str
) -> None:
    async def scenario() -> None:
        async with client(tiny_models, index_url) as http:
            answer = await http.get(f"/v1/models/{name}")
        assert answer.status_code == 200
        assert answer.json()["id"] == "tiny/1"

    asyncio.run(scenario())


@pytest.mark.parametrize("name", ["tiny/2", "large", "tiny/1/encoder.onnx"])
def test_an_unknown_model_is_refused_with_the_served_ones(
    name: str, tiny_models: Path, index_url: str
) -> None:
    async def scenario() -> None:
        async with client(tiny_models, index_url) as http:
            answer = await http.get(f"/v1/models/{name}")
        assert (answer.status_code, answer.json()["code"]) == (404, "unknown_model")
        assert name in answer.json()["detail"]
        assert "There is tiny/1" in answer.json()["detail"]

    asyncio.run(scenario())


def test_the_openai_client_reads_the_list(tiny_models: Path, index_url: str) -> None:
    async def scenario() -> None:
        async with client(tiny_models, index_url) as http:
            api = openai_client(http)
            listed = [model.id async for model in api.models.list()]
            assert listed == ["tiny/1"]
            assert (await api.models.retrieve("tiny/1")).owned_by == "infomax"
            with pytest.raises(openai.NotFoundError) as refused:
                await api.models.retrieve("large")
            assert refused.value.code == "unknown_model"

    asyncio.run(scenario())
