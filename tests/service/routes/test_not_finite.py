"""Answers that are not finite: a failed image with a sentence, in every route and format."""

import asyncio
import base64
from pathlib import Path
from typing import Any

import numpy as np
import orjson
import pytest
from numpy.typing import NDArray

from service.inference.model import Criticised
from service.inference.results import Projections
from tests.pictures import plain
from tests.service.client import check_refusal, client
from tests.service.faults import POISON, FragileModel
from tests.service.streams import FORMATS

GOOD, BAD = plain(1), plain(POISON)
PNG = {"content-type": "image/png"}


class Spoilt(FragileModel):
    """A critic whose maps, or one kind of its projections, are not finite for a plain picture of `POISON`."""

    def __init__(self, models: Path, what: str, value: float) -> None:
        super().__init__(models)
        self.what, self.value = what, value
        # Of the features of a plain picture, by which the critic's rows are told apart.
        self._poisoned = self.encode(np.full((1, *self._size, 3), POISON, np.uint8), features=True).code[0]

    @property
    def _size(self) -> tuple[int, int]:
        rule = self.card.preprocessing
        return rule.height, rule.width

    def criticise(
        self, features: NDArray[np.float32], code: NDArray[np.float32], *, projections: bool
    ) -> Criticised:
        criticised = super().criticise(features, code, projections=projections)
        maps, projected = criticised.mi_map.copy(), list(criticised.projections)
        for row in np.flatnonzero(np.isclose(code, self._poisoned, atol=1e-5).all(axis=1)):
            if self.what == "mi_map":
                maps[row, 0, 0] = self.value
            elif projected:
                parts = {
                    name: getattr(projected[row], name).copy()
                    for name in ("local", "global_", "local_log_normaliser")
                }
                for name in self.what.split():
                    parts[name].flat[0] = self.value
                projected[row] = Projections(**parts)
        return Criticised(maps, projected)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_a_map_that_is_not_finite_is_refused_in_every_format(
    tiny_models: Path, index_url: str, value: float
) -> None:
    tensor = {
        "name": "image",
        "datatype": "BYTES",
        "shape": [1],
        "data": [base64.b64encode(BAD).decode()],
    }

    async def scenario() -> None:
        async with client(tiny_models, index_url, Spoilt(tiny_models, "mi_map", value)) as http:
            for accept in ("application/json", "application/x-npy", "image/png"):
                answer = await http.post("/v1/mi-maps", content=BAD, headers=PNG | {"accept": accept})
                check_refusal(answer, 500, "inference_failed", "not finite")
                good = await http.post("/v1/mi-maps", content=GOOD, headers=PNG | {"accept": accept})
                assert good.status_code == 200
            infer = await http.post("/v2/models/tiny/infer", json={"inputs": [tensor]})
            assert (infer.status_code, infer.json()["code"]) == (500, "inference_failed")
            # The embedding itself is whole.
            assert (await http.post("/v1/embeddings", content=BAD, headers=PNG)).status_code == 200

    asyncio.run(scenario())


def test_in_a_stream_the_image_fails_alone(tiny_models: Path, index_url: str) -> None:
    content_type, pack = FORMATS["tar"]
    body = pack([("a", GOOD), ("b", BAD), ("c", GOOD)])

    async def scenario() -> None:
        async with client(tiny_models, index_url, Spoilt(tiny_models, "mi_map", np.nan)) as http:
            answer = await http.post(
                "/v1/batch?outputs=mi_map", content=body, headers={"content-type": content_type}
            )
            lines: list[dict[str, Any]] = [orjson.loads(line) for line in answer.text.splitlines()]
            assert [line.get("status") for line in lines[:3]] == ["ok", "error", "ok"]
            assert lines[1]["error"]["code"] == "inference_failed"
            assert "null" not in answer.text

    asyncio.run(scenario())


@pytest.mark.parametrize("what", ["local", "global_", "local_log_normaliser"])
def test_projections_that_are_not_finite_fail_their_image(
    tiny_models: Path, index_url: str, what: str
) -> None:
    async def scenario() -> None:
        async with client(tiny_models, index_url, Spoilt(tiny_models, what, np.nan)) as http:
            for image, reference in ((BAD, GOOD), (GOOD, BAD)):
                files = {"image": ("a.png", image), "reference": ("b.png", reference)}
                answer = await http.post("/v1/mi-maps", files=files)
                check_refusal(answer, 500, "inference_failed", "not finite")
            explained = await http.post("/v1/neighbours?explain=true", content=BAD, headers=PNG)
            check_refusal(explained, 500, "inference_failed", "not finite")

    asyncio.run(scenario())


def test_a_map_that_only_the_reference_makes_infinite_is_refused(tiny_models: Path, index_url: str) -> None:
    """The projections of each image are finite, and their product is not."""

    async def scenario() -> None:
        model = Spoilt(tiny_models, "local global_", 3e38)
        async with client(tiny_models, index_url, model) as http:
            files = {"image": ("a.png", BAD), "reference": ("b.png", BAD)}
            answer = await http.post("/v1/mi-maps", files=files)
            check_refusal(answer, 500, "inference_failed", "The map of this image and the reference")

    asyncio.run(scenario())
