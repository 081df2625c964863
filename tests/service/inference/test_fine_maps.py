"""Maps of finer grids in the pipeline: what they are made of, what they cost, and who waits for whom."""

import asyncio
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from service.errors import ServiceError
from service.inference.model import Encoded
from service.inference.pipeline import Pipeline
from service.inference.results import Embedded, Failed, Outcome, Priority, Want
from tests.pictures import encoded, landscape, photo, plain
from tests.service.counting_quota import CountingQuota
from tests.service.faults import FragileModel, running
from tests.tiny_model import GRID, SIDE

COST = {2: 5, 4: 17}


def embedded(outcome: Outcome) -> Embedded:
    assert isinstance(outcome, Embedded), outcome
    return outcome


async def fine(pipeline: Pipeline, image: bytes, resolution: int) -> Embedded:
    (outcome,) = await pipeline.embed([image], Want.MAP, resolution=resolution)
    return embedded(outcome)


async def plainly(pipeline: Pipeline, image: bytes) -> Embedded:
    (outcome,) = await pipeline.embed([image], Want.PROJECTIONS)
    return embedded(outcome)


def against(image: Embedded, code: Embedded) -> NDArray[np.float32]:
    assert image.projections is not None
    assert code.projections is not None
    return image.projections.against(code.projections)


def moved(picture: Image.Image, right: int, down: int) -> bytes:
    """The picture seen from a window that is moved, with its edge repeated."""
    wide = np.pad(np.asarray(picture), ((4, 4), (4, 4), (0, 0)), mode="edge")
    return encoded(Image.fromarray(wide[4 + down : 4 + down + SIDE, 4 + right : 4 + right + SIDE]))


def test_values_are_those_of_moved_images_against_the_code_of_the_image(tiny_models: Path) -> None:
    picture = landscape(SIDE, SIDE, 3)

    async def scenario() -> None:
        async with running(tiny_models) as pipeline:
            own = await plainly(pipeline, encoded(picture))
            found = await fine(pipeline, encoded(picture), 2)
            assert found.mi_map is not None
            assert found.standard_error is not None
            assert found.mi_map.shape == found.standard_error.shape == (2 * GRID, 2 * GRID)
            np.testing.assert_allclose(found.code, own.code, atol=1e-4)
            for row, down in enumerate((-1, 1)):
                for column, right in enumerate((-1, 1)):
                    window = await plainly(pipeline, moved(picture, right, down))
                    part = slice(row, None, 2), slice(column, None, 2)
                    np.testing.assert_allclose(found.mi_map[part], against(window, own), atol=1e-3)
                    assert window.standard_error is not None
                    np.testing.assert_allclose(found.standard_error[part], window.standard_error, atol=1e-3)

    asyncio.run(scenario())


@pytest.mark.parametrize("resolution", [2, 4])
def test_a_planted_patch_is_found_at_the_finer_place(tiny_models: Path, resolution: int) -> None:
    step = 4 // resolution

    async def scenario() -> None:
        async with running(tiny_models) as pipeline:
            code = await plainly(pipeline, photo(2))
            background = against(await fine(pipeline, plain(100), resolution), code)
            peaks = []
            for left in (12, 12 + step):
                pixels = np.full((SIDE, SIDE, 3), 100, np.uint8)
                pixels[12:16, left : left + 4] = (250, 10, 60)
                image = encoded(Image.fromarray(pixels))
                change = np.abs(against(await fine(pipeline, image, resolution), code) - background)
                peaks.append(np.unravel_index(change.argmax(), change.shape))
                # The squares that the changed patches see hold the planted one.
                grid = pipeline.card.patch_grid.finer(resolution)
                columns = np.flatnonzero(change.max(axis=0) > 1e-3)
                centres = grid.first_centre + grid.stride * columns
                assert np.abs(centres - (left + 2)).max() <= grid.receptive_field / 2 + 2 + 1
            (row, column), second = peaks
            assert second == (row, column + 1)

    asyncio.run(scenario())


def test_failures_stay_in_their_place_and_company_changes_nothing(tiny_models: Path) -> None:
    pictures = [photo(1), encoded(landscape(300, 200, 2), "JPEG"), encoded(landscape(90, 400, 3))]

    async def scenario() -> None:
        async with running(tiny_models) as pipeline:
            alone = [(await fine(pipeline, picture, 4)).mi_map for picture in pictures]
            mixed = await pipeline.embed([pictures[0], b"no image", *pictures[1:]], Want.MAP, resolution=4)
            assert isinstance(mixed.pop(1), Failed)
            for outcome, expected in zip(mixed, alone, strict=True):
                np.testing.assert_allclose(embedded(outcome).mi_map, expected, atol=1e-4)  # type: ignore[arg-type]

    asyncio.run(scenario())


class _Pausing(FragileModel):
    """Model whose second run waits for the gate: that of the first windows."""

    armed = False

    def encode(self, images: NDArray[np.uint8], *, features: bool) -> Encoded:
        if self.armed and len(self.seen) == 1:
            self.gate.clear()
        return super().encode(images, features=features)


def test_other_images_do_not_wait_for_windows(tiny_models: Path) -> None:
    async def scenario() -> None:
        model = _Pausing(tiny_models)
        async with running(tiny_models, model, max_batch=8) as pipeline:
            model.seen.clear()
            model.armed = True
            slow = asyncio.create_task(pipeline.embed([plain(10)], Want.MAP, resolution=4))
            await asyncio.to_thread(model.entered.wait, 30)
            quick = asyncio.create_task(pipeline.embed([plain(20)], Want.EMBEDDING))
            await asyncio.sleep(0)
            model.gate.set()
            await asyncio.gather(slow, quick)
            (place,) = (place for place, values in enumerate(model.seen) if 20 in values)
            # The image, and the windows that were running when the other one came.
            assert place == 2

    asyncio.run(scenario())


@pytest.mark.parametrize("resolution", [2, 4])
def test_admission_and_quota_count_what_a_map_costs(tiny_models: Path, resolution: int) -> None:
    cost = COST[resolution]

    async def scenario() -> None:
        async with running(tiny_models, queue_items=3 * cost - 1) as pipeline:
            assert pipeline.cost_of(Want.MAP, resolution) == cost
            images = [photo(seed) for seed in range(3)]
            with pytest.raises(ServiceError, match=f"{cost} images") as refusal:
                await pipeline.embed(images, Want.MAP, resolution=resolution)
            assert (refusal.value.status, refusal.value.code, refusal.value.limit) == (
                413,
                "too_many_items",
                2,
            )
            streamed = await pipeline.embed(images, Want.MAP, Priority.BULK, resolution=resolution)
            assert all(isinstance(one, Embedded) for one in streamed)
            quota = CountingQuota()
            await pipeline.embed(images[:2], Want.MAP, quota=quota, resolution=resolution)
            assert quota.charged == 2 * cost

    asyncio.run(scenario())
