"""Answers of the pipeline, which do not depend on other callers."""

import asyncio
import base64
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from service.errors import ServiceError
from service.inference.device_choice import CPU
from service.inference.pipeline import Pipeline
from service.inference.results import Embedded, Failed, Outcome, Priority, Stages, Want
from tests.pictures import encoded, landscape, photo
from tests.service.faults import FragileModel, running, settings


def embedded(outcome: Outcome) -> Embedded:
    assert isinstance(outcome, Embedded), outcome
    return outcome


def test_the_card_s_golden_image_gets_the_card_s_answer(tiny_models: Path) -> None:
    async def scenario() -> None:
        async with running(tiny_models) as pipeline:
            golden = pipeline.card.golden
            (outcome,) = await pipeline.embed([base64.b64decode(golden.image_base64)], Want.MAP)
            answer = embedded(outcome)
            np.testing.assert_allclose(answer.embedding, golden.embedding, atol=golden.tolerance)
            np.testing.assert_allclose(answer.code, golden.code, atol=golden.tolerance)
            assert answer.mi_map is not None
            np.testing.assert_allclose(answer.mi_map, golden.mi_map, atol=golden.tolerance)

    asyncio.run(scenario())


def test_an_answer_does_not_depend_on_the_other_images(tiny_models: Path) -> None:
    pictures = [photo(seed) for seed in range(37)]

    async def scenario() -> None:
        async with running(tiny_models) as pipeline:
            together = await pipeline.embed(pictures, Want.PROJECTIONS)
            alone = [(await pipeline.embed([picture], Want.PROJECTIONS))[0] for picture in pictures]
            for one, other in zip(map(embedded, together), map(embedded, alone), strict=True):
                np.testing.assert_allclose(one.embedding, other.embedding, atol=1e-5)
                assert one.mi_map is not None
                assert other.mi_map is not None
                assert one.projections is not None
                assert other.projections is not None
                np.testing.assert_allclose(one.mi_map, other.mi_map, atol=1e-4)
                np.testing.assert_allclose(one.projections.local, other.projections.local, atol=1e-4)

    asyncio.run(scenario())


def test_answers_come_in_order_and_failures_stay_in_their_place(tiny_models: Path) -> None:
    good = [photo(seed) for seed in range(30)]
    mixed = [*good[:10], b"", *good[10:20], b"no image", *good[20:], photo()[:-300]]

    async def scenario() -> None:
        async with running(tiny_models) as pipeline:
            expected = [embedded(one).embedding for one in await pipeline.embed(good, Want.EMBEDDING)]
            outcomes = await pipeline.embed(mixed, Want.EMBEDDING)
            failures = {place: one.code for place, one in enumerate(outcomes) if isinstance(one, Failed)}
            assert failures == {10: "empty_image", 21: "unsupported_format", 32: "truncated_image"}
            answers = [one.embedding for one in outcomes if isinstance(one, Embedded)]
            np.testing.assert_allclose(answers, expected, atol=1e-5)

    asyncio.run(scenario())


def test_each_caller_gets_the_outputs_that_it_wants(tiny_models: Path) -> None:
    async def scenario() -> None:
        async with running(tiny_models) as pipeline:
            calls = [pipeline.embed([photo(seed)], want) for seed, want in enumerate([*Want, *Want, *Want])]
            answers = [embedded(outcomes[0]) for outcomes in await asyncio.gather(*calls)]
            for want, answer in zip([*Want, *Want, *Want], answers, strict=True):
                assert np.linalg.norm(answer.embedding) == pytest.approx(1, abs=1e-5)
                assert (answer.mi_map is not None) == (want in (Want.MAP, Want.PROJECTIONS, Want.ALL))
                assert (answer.contribution is not None) == (want in (Want.CONTRIBUTION, Want.ALL))
                assert answer.features is None
                assert (answer.projections is not None) == (want in (Want.PROJECTIONS, Want.ALL))

    asyncio.run(scenario())


def test_an_image_against_its_own_code_is_its_mi_map(tiny_models: Path) -> None:
    async def scenario() -> None:
        async with running(tiny_models) as pipeline:
            one, other = map(embedded, await pipeline.embed([photo(1), photo(2)], Want.PROJECTIONS))
            assert one.mi_map is not None
            assert one.projections is not None
            assert other.projections is not None
            np.testing.assert_allclose(one.projections.against(one.projections), one.mi_map, atol=1e-4)
            cross = one.projections.against(other.projections)
            assert cross.shape == (8, 8)
            assert np.abs(cross - one.mi_map).max() > 1e-2

    asyncio.run(scenario())


def test_embeddings_alone_never_run_the_critic(tiny_models: Path) -> None:
    async def scenario() -> None:
        model = FragileModel(tiny_models)
        async with running(tiny_models, model) as pipeline:
            await pipeline.embed([photo(seed) for seed in range(20)], Want.EMBEDDING)
            assert model.critic_runs == 0
            await pipeline.embed([photo()], Want.MAP)
            assert model.critic_runs == 1

    asyncio.run(scenario())


def test_the_answer_knows_the_original(tiny_models: Path) -> None:
    async def scenario() -> None:
        async with running(tiny_models) as pipeline:
            (outcome,) = await pipeline.embed([encoded(landscape(300, 200), "WEBP")], Want.EMBEDDING)
            image = embedded(outcome).image
            assert (image.format, image.original_width, image.original_height) == ("WEBP", 300, 200)

    asyncio.run(scenario())


def test_a_call_reports_the_times_of_its_stages(tiny_models: Path) -> None:
    async def scenario() -> None:
        stages = Stages()
        async with running(tiny_models) as pipeline:
            await pipeline.embed([photo(seed) for seed in range(40)], Want.EMBEDDING, stages=stages)
        assert stages.decode > 0
        assert stages.queue > 0
        assert stages.inference > 0

    asyncio.run(scenario())


class Spent:
    """Quota that allows nothing more."""

    def charge(self, images: int, priority: Priority) -> float:
        raise AssertionError(images, priority)

    def give_back(self, images: int) -> None:
        raise AssertionError(images)


def test_no_images_get_no_answers_and_cost_nothing(tiny_models: Path) -> None:
    model = FragileModel(tiny_models)

    async def scenario() -> None:
        async with running(tiny_models, model, queue_items=1) as pipeline:
            model.gate.clear()
            full = asyncio.create_task(pipeline.embed([photo()], Want.MAP))
            await asyncio.sleep(0)
            assert await pipeline.embed([], Want.MAP, Priority.BULK, quota=Spent()) == []
            model.gate.set()
            await full

    asyncio.run(scenario())


def test_several_runs_at_a_time_give_the_same_answers(tiny_models: Path) -> None:
    pictures = [photo(seed) for seed in range(100)]

    async def scenario() -> None:
        async with running(tiny_models) as one, running(tiny_models, runs=3) as three:
            calls = [three.embed(pictures[start : start + 10], Want.MAP) for start in range(0, 100, 10)]
            answers = [embedded(outcome) for outcomes in await asyncio.gather(*calls) for outcome in outcomes]
            expected = map(embedded, await one.embed(pictures, Want.MAP))
            for answer, other in zip(answers, expected, strict=True):
                np.testing.assert_allclose(answer.embedding, other.embedding, atol=1e-5)

    asyncio.run(scenario())


def test_nothing_is_answered_before_the_start(tiny_models: Path) -> None:
    async def scenario() -> None:
        pipeline = Pipeline(settings(tiny_models))
        assert not pipeline.readiness.ready
        with pytest.raises(ServiceError) as caught:
            await pipeline.embed([photo()], Want.EMBEDDING)
        assert (caught.value.status, caught.value.code) == (503, "not_ready")

    asyncio.run(scenario())


@pytest.mark.parametrize(("provider", "rows"), [(CPU, 3), ("CUDAExecutionProvider", 4)])
def test_batches_are_padded_where_an_empty_place_costs_nothing(
    tiny_models: Path, provider: str, rows: int
) -> None:
    model = FragileModel(tiny_models)

    async def scenario() -> None:
        async with running(tiny_models, model) as pipeline:
            model.report = replace(model.report, active=provider)
            await pipeline.embed([photo(seed) for seed in range(3)], Want.MAP)
            assert [len(batch) for batch in model.seen] == [rows]

    asyncio.run(scenario())
