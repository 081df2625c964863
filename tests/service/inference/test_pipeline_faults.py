"""Failing images, failing models, dying threads and cancelled calls, and the calls beside them."""

import asyncio
from pathlib import Path

import numpy as np
import pytest
from prometheus_client import REGISTRY

from contract.errors import ArtefactError
from service.errors import ServiceError
from service.inference.model import Encoded
from service.inference.pipeline import Pipeline
from service.inference.results import Embedded, Failed, Want
from tests.pictures import plain
from tests.service.faults import POISON, FragileModel, running, settings

SECONDS = 30


async def becomes_ready(pipeline: Pipeline, ready: bool) -> None:
    async with asyncio.timeout(SECONDS):
        while pipeline.readiness.ready is not ready:  # noqa: ASYNC110 (polled, as operators do)
            await asyncio.sleep(0.001)


async def is_held_up(model: FragileModel) -> None:
    assert await asyncio.to_thread(model.entered.wait, SECONDS)


def thread_deaths() -> float:
    return REGISTRY.get_sample_value("infomax_thread_deaths_total", {"crew": "inference"}) or 0.0


def queue_depth() -> float | None:
    return REGISTRY.get_sample_value("infomax_queue_depth_items")


def test_only_the_image_that_the_model_fails_on_fails(tiny_models: Path) -> None:
    pictures = [plain(value) for value in (1, 2, 3, POISON, 5, 6, 7, 8, 9, POISON, 11, 12)]

    async def scenario() -> None:
        model = FragileModel(tiny_models)
        async with running(tiny_models, model) as pipeline:
            expected = await pipeline.embed(
                [picture for picture in pictures if picture != plain(POISON)], Want.MAP
            )
            model.poison = RuntimeError("a kernel failed")
            outcomes = await pipeline.embed(pictures, Want.MAP)
            failed = {place: one.code for place, one in enumerate(outcomes) if isinstance(one, Failed)}
            assert failed == {3: "inference_failed", 9: "inference_failed"}
            answers = [one.embedding for one in outcomes if isinstance(one, Embedded)]
            good = [one.embedding for one in expected if isinstance(one, Embedded)]
            np.testing.assert_allclose(answers, good, atol=1e-5)
            assert pipeline.readiness.ready

    asyncio.run(scenario())


def test_images_of_other_calls_in_the_batch_are_answered(tiny_models: Path) -> None:
    async def scenario() -> None:
        model = FragileModel(tiny_models)
        model.poison = RuntimeError("a kernel failed")
        async with running(tiny_models, model) as pipeline:
            calls = [pipeline.embed([plain(value)], Want.EMBEDDING) for value in [1, 2, POISON, 4, 5, 6]]
            outcomes = [answer[0] for answer in await asyncio.gather(*calls)]
            assert [isinstance(one, Failed) for one in outcomes] == [False, False, True, False, False, False]

    asyncio.run(scenario())


def test_readiness_falls_with_an_inference_thread_and_rises_with_its_replacement(tiny_models: Path) -> None:
    async def scenario() -> None:
        model = FragileModel(tiny_models)
        async with running(tiny_models, model) as pipeline:
            deaths = thread_deaths()
            model.gate.clear()
            model.fatal = SystemExit(3)
            call = asyncio.create_task(pipeline.embed([plain(1)], Want.EMBEDDING))
            await is_held_up(model)
            await becomes_ready(pipeline, ready=False)
            assert "SystemExit: 3" in pipeline.readiness.reason
            assert thread_deaths() == deaths + 1
            model.gate.set()
            await becomes_ready(pipeline, ready=True)
            assert isinstance((await call)[0], Embedded)

    asyncio.run(scenario())


def test_an_image_that_kills_its_thread_fails_alone(tiny_models: Path) -> None:
    async def scenario() -> None:
        model = FragileModel(tiny_models)
        model.poison = SystemExit(3)
        async with running(tiny_models, model) as pipeline:
            outcomes = await pipeline.embed([plain(value) for value in (1, 2, POISON, 4)], Want.EMBEDDING)
            assert [isinstance(one, Failed) for one in outcomes] == [False, False, True, False]
            await becomes_ready(pipeline, ready=True)
            (after,) = await pipeline.embed([plain(5)], Want.EMBEDDING)
            assert isinstance(after, Embedded)

    asyncio.run(scenario())


def test_a_model_that_fails_for_good_refuses_every_call_soon(tiny_models: Path) -> None:
    async def scenario() -> None:
        model = FragileModel(tiny_models)
        async with running(tiny_models, model) as pipeline:
            model.broken = RuntimeError("the device is lost")
            with pytest.raises(ServiceError) as caught:
                await pipeline.embed([plain(1)], Want.EMBEDDING)
            assert (caught.value.status, caught.value.code) == (503, "not_ready")
            assert not pipeline.readiness.ready
            with pytest.raises(ServiceError, match="the device is lost"):
                await pipeline.embed([plain(1)], Want.EMBEDDING)
            model.broken = None
            await becomes_ready(pipeline, ready=True)
            (after,) = await pipeline.embed([plain(5)], Want.EMBEDDING)
            assert isinstance(after, Embedded)

    asyncio.run(scenario())


def test_an_answer_that_is_not_finite_is_a_failure(tiny_models: Path) -> None:
    class Dividing(FragileModel):
        def encode(self, images: np.ndarray, *, features: bool) -> Encoded:
            encoded = super().encode(images, features=features)
            encoded.embedding[(images == POISON).all(axis=(1, 2, 3))] = np.nan
            return encoded

    async def scenario() -> None:
        async with running(tiny_models, Dividing(tiny_models)) as pipeline:
            one, other = await pipeline.embed([plain(1), plain(POISON)], Want.EMBEDDING)
            assert isinstance(one, Embedded)
            assert isinstance(other, Failed)
            assert "not finite" in other.message

    asyncio.run(scenario())


def test_a_model_whose_outputs_are_not_the_card_s_does_not_start(tiny_models: Path) -> None:
    class Drifted(FragileModel):
        def encode(self, images: np.ndarray, *, features: bool) -> Encoded:
            encoded = super().encode(images, features=features)
            return Encoded(encoded.embedding + 0.01, encoded.code, encoded.features)

    async def scenario() -> None:
        pipeline = Pipeline(settings(tiny_models), Drifted(tiny_models))
        with pytest.raises(
            ArtefactError, match=r"self-test.*embedding differs in fp32 from the card by 0\.01"
        ):
            await pipeline.start()
        assert not pipeline.readiness.ready

    asyncio.run(scenario())


def test_a_cancelled_call_takes_its_images_out_of_the_queue(tiny_models: Path) -> None:
    async def scenario() -> None:
        model = FragileModel(tiny_models)
        async with running(tiny_models, model) as pipeline:
            model.gate.clear()
            stays = asyncio.create_task(pipeline.embed([plain(1)], Want.EMBEDDING))
            await is_held_up(model)
            leaves = asyncio.create_task(pipeline.embed([plain(2)] * 30, Want.EMBEDDING))
            await asyncio.sleep(0)
            assert queue_depth() == 31
            leaves.cancel()
            with pytest.raises(asyncio.CancelledError):
                await leaves
            assert queue_depth() == 1
            model.gate.set()
            await stays
            await pipeline.embed([plain(3)], Want.EMBEDDING)
            assert [row for rows in model.seen for row in rows] == [1, 3]

    asyncio.run(scenario())


def test_a_full_service_refuses_with_the_time_to_retry(tiny_models: Path) -> None:
    async def scenario() -> None:
        model = FragileModel(tiny_models)
        async with running(tiny_models, model, queue_items=8) as pipeline:
            model.gate.clear()
            accepted = asyncio.create_task(pipeline.embed([plain(1)] * 8, Want.EMBEDDING))
            await asyncio.sleep(0)
            with pytest.raises(ServiceError) as caught:
                await pipeline.embed([plain(2)], Want.EMBEDDING)
            assert (caught.value.status, caught.value.code) == (503, "overloaded")
            assert caught.value.retry_after is not None
            assert caught.value.retry_after > 0
            model.gate.set()
            assert len(await accepted) == 8
            assert len(await pipeline.embed([plain(2)], Want.EMBEDDING)) == 1

    asyncio.run(scenario())


def test_stopping_answers_what_was_accepted_and_refuses_the_rest(tiny_models: Path) -> None:
    async def scenario() -> None:
        model = FragileModel(tiny_models)
        async with running(tiny_models, model) as pipeline:
            model.gate.clear()
            accepted = asyncio.create_task(pipeline.embed([plain(1)] * 40, Want.EMBEDDING))
            await is_held_up(model)
            stopping = asyncio.create_task(pipeline.stop(SECONDS))
            await asyncio.sleep(0)
            assert not pipeline.readiness.ready
            # Vectors alone bring no image, and their stream ends here too.
            for images in ([plain(2)], []):
                with pytest.raises(ServiceError) as caught:
                    await pipeline.embed(images, Want.EMBEDDING)
                assert caught.value.code == "shutting_down"
            model.gate.set()
            assert all(isinstance(one, Embedded) for one in await accepted)
            await stopping

    asyncio.run(scenario())


def test_stopping_does_not_wait_longer_than_it_may(tiny_models: Path) -> None:
    async def scenario() -> None:
        model = FragileModel(tiny_models)
        async with running(tiny_models, model) as pipeline:
            model.gate.clear()
            accepted = asyncio.create_task(pipeline.embed([plain(1)], Want.EMBEDDING))
            await is_held_up(model)
            stopping = asyncio.create_task(pipeline.stop(drain_seconds=0))
            with pytest.raises(ServiceError) as caught:
                await accepted
            assert caught.value.code == "shutting_down"
            model.gate.set()
            await stopping

    asyncio.run(scenario())
