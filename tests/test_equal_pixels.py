"""Training and the service see the same pixels in the same bytes, under every rule."""

import asyncio
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from contract.preprocessing import ColorProfile, Preprocessing, ResizeRule
from service.inference.results import Embedded, Want
from tests.icc_profiles import display_p3
from tests.pictures import encoded, landscape
from tests.service.faults import running
from tests.tiny_model import SIDE
from tests.tiny_rules import build_tiny_with_rule
from training.data.loading import load

FILES = {
    "a.jpg": encoded(landscape(1200, 700), "JPEG", icc_profile=display_p3()),
    "b.png": encoded(landscape(60, 200, seed=1), "PNG", icc_profile=display_p3()),
    "c.webp": encoded(landscape(300, 300, seed=2).convert("RGBA"), "WEBP"),
    "d.jpg": encoded(landscape(40, 30, seed=3).convert("L"), "JPEG"),
}


@pytest.mark.parametrize("resize_rule", ["stretch", "center_crop", "letterbox"])
@pytest.mark.parametrize("color_profile", ["ignore", "srgb"])
def test_what_training_decodes_is_what_the_service_embeds(
    tmp_path: Path, resize_rule: ResizeRule, color_profile: ColorProfile
) -> None:
    rule = Preprocessing(height=SIDE, width=SIDE, resize_rule=resize_rule, color_profile=color_profile)
    images, models = tmp_path / "images", tmp_path / "models"
    images.mkdir()
    for name, data in FILES.items():
        (images / name).write_bytes(data)
    decoded = load(images, rule).pixels
    build_tiny_with_rule(models, rule)

    async def scenario() -> None:
        async with running(models) as pipeline:
            # A PNG of the input's size is its own pixels.
            as_they_are = [encoded(Image.fromarray(pixels)) for pixels in decoded]
            answers = await pipeline.embed([*FILES.values(), *as_they_are], Want.EMBEDDING)
            vectors = [one.embedding for one in answers if isinstance(one, Embedded)]
            np.testing.assert_allclose(vectors[:4], vectors[4:], atol=1e-5)
            assert np.abs(vectors[0] - vectors[1]).max() > 1e-2

    asyncio.run(scenario())
