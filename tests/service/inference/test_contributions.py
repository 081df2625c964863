"""Contribution maps in the pipeline: what is encoded for them, what they cost, and who waits for whom."""

import asyncio
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from contract.images import decode
from contract.occlusion import Occlusion, covered
from service.errors import ServiceError
from service.inference.pipeline import Pipeline
from service.inference.results import Embedded, Failed, Priority, Want
from tests.pictures import encoded, landscape, photo, plain
from tests.service.counting_quota import CountingQuota
from tests.service.faults import FragileModel, running
from tests.tiny_model import GRID

COST = 2 + GRID * GRID


async def contributions(
    pipeline: Pipeline, images: list[bytes], priority: Priority = Priority.INTERACTIVE
) -> list[NDArray[np.float32]]:
    found = []
    for outcome in await pipeline.embed(images, Want.CONTRIBUTION, priority):
        assert isinstance(outcome, Embedded), outcome
        assert outcome.contribution is not None
        found.append(outcome.contribution)
    return found


def test_a_map_is_made_of_the_codes_of_covered_copies(tiny_models: Path) -> None:
    async def scenario() -> None:
        model = FragileModel(tiny_models)
        async with running(tiny_models, model) as pipeline:
            occlusion = Occlusion(GRID, GRID)
            assert pipeline.cost_of(Want.CONTRIBUTION) == COST == 1 + len(occlusion)
            (found,) = await contributions(pipeline, [photo(1)])
            grey = model.open_trunk()
            assert grey is not None
            pixels = decode(photo(1), pipeline.card.preprocessing).pixels
            features = model.encode(pixels[None], features=True).features[0]
            copies = model.encode_features(covered(features, occlusion.keep))
            expected = occlusion.contribution(copies, grey)
            np.testing.assert_allclose(found, expected, atol=1e-4)
            assert np.ptp(expected) > 0.05

    asyncio.run(scenario())


def test_maps_do_not_depend_on_order_or_company_and_failures_stay_in_their_place(tiny_models: Path) -> None:
    pictures = [photo(1), encoded(landscape(300, 200, 2), "JPEG"), photo(3)]

    async def scenario() -> None:
        async with running(tiny_models) as pipeline:
            alone = [(await contributions(pipeline, [picture]))[0] for picture in pictures]
            turned = await contributions(pipeline, pictures[::-1], Priority.BULK)
            np.testing.assert_allclose(turned[::-1], alone, atol=1e-4)
            mixed = await pipeline.embed([pictures[0], b"no image", pictures[2]], Want.CONTRIBUTION)
            assert isinstance(mixed[1], Failed)
            for place in (0, 2):
                outcome = mixed[place]
                assert isinstance(outcome, Embedded)
                assert outcome.contribution is not None
                np.testing.assert_allclose(outcome.contribution, alone[place], atol=1e-4)

    asyncio.run(scenario())


class _Pausing(FragileModel):
    """Model whose first batch of covered copies waits for the gate; `seen` has all of them too, as -1."""

    def encode_features(self, features: NDArray[np.float32]) -> NDArray[np.float32]:
        if len(features) > 1:
            if [-1] not in self.seen:
                self.entered.set()
                self.gate.clear()
                assert self.gate.wait(timeout=30), "the test never opened the gate"
            self.seen.append([-1])
        return super().encode_features(features)


def test_other_images_do_not_wait_for_covered_copies(tiny_models: Path) -> None:
    async def scenario() -> None:
        model = _Pausing(tiny_models)
        async with running(tiny_models, model) as pipeline:
            slow = asyncio.create_task(pipeline.embed([plain(10)], Want.CONTRIBUTION))
            await asyncio.to_thread(model.entered.wait, 30)
            quick = asyncio.create_task(pipeline.embed([plain(20)], Want.EMBEDDING))
            await asyncio.sleep(0)
            model.gate.set()
            await asyncio.gather(slow, quick)
            (place,) = (place for place, values in enumerate(model.seen) if 20 in values)
            # Before it ran the copies that were running when it came. The seven eighths of its batch that
            # it does not need are filled with further ones.
            assert model.seen[:place].count([-1]) == 1
            assert model.seen[place:].count([-1]) > 3

    asyncio.run(scenario())


def test_more_maps_than_fit_are_refused_by_what_they_cost(tiny_models: Path) -> None:
    async def scenario() -> None:
        async with running(tiny_models, queue_items=3 * COST - 1) as pipeline:
            assert len(await contributions(pipeline, [photo(1), photo(2)])) == 2
            with pytest.raises(ServiceError, match=f"{COST} images") as refusal:
                await pipeline.embed([photo(seed) for seed in range(3)], Want.CONTRIBUTION)
            assert (refusal.value.status, refusal.value.code, refusal.value.limit) == (
                413,
                "too_many_items",
                2,
            )

    asyncio.run(scenario())


def test_a_stream_s_maps_come_in_parts_that_fit(tiny_models: Path) -> None:
    async def scenario() -> None:
        async with running(tiny_models, queue_items=2 * COST) as pipeline:
            found = await contributions(pipeline, [photo(seed) for seed in range(4)], Priority.BULK)
            assert len(found) == 4

    asyncio.run(scenario())


def test_a_quota_is_charged_what_a_map_costs(tiny_models: Path) -> None:
    async def scenario() -> None:
        quota = CountingQuota()
        async with running(tiny_models) as pipeline:
            await pipeline.embed([photo(1)], Want.CONTRIBUTION, quota=quota)
            assert quota.charged == COST

    asyncio.run(scenario())
