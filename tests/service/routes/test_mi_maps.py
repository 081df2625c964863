"""POST /v1/mi-maps, as its clients see it."""

import asyncio
import base64
from io import BytesIO
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from contract.artefact import open_artefact
from contract.placement import place
from contract.preprocessing import Preprocessing, ResizeRule
from service.outputs.heat_map import Picture, draw_heat_map
from tests.pictures import encoded, landscape, photo
from tests.service.client import check_refusal, client
from tests.tiny_model import GRID
from tests.tiny_rules import build_tiny_with_rule

ROUTE = "/v1/mi-maps"
ORIENTATION = 0x0112


def form(*images: bytes) -> list[tuple[str, tuple[str, bytes]]]:
    return [("image", ("a.jpg", image)) for image in images]


def text(data: bytes) -> str:
    return base64.b64encode(data).decode()


def maps(response: httpx.Response) -> NDArray[np.float64]:
    assert response.status_code == 200, response.text
    return np.array([one["nats"] for one in response.json()["data"]])


def test_the_card_s_golden_image_gets_the_card_s_map(tiny_models: Path, index_url: str) -> None:
    card = open_artefact(tiny_models / "tiny" / "1").card
    image = base64.b64decode(card.golden.image_base64)

    async def scenario() -> None:
        async with client(tiny_models, index_url) as http:
            response = await http.post(ROUTE, content=image)
            answer = response.json()
            np.testing.assert_allclose(maps(response)[0], card.golden.mi_map, atol=card.golden.tolerance)
            assert answer["model"] == "tiny/1"
            assert answer["unit"] == "nats"
            assert answer["estimator"] == card.calibration.estimator
            assert answer["joint"] == card.calibration.joint
            (only,) = answer["data"]
            assert (only["index"], only["rows"], only["columns"]) == (0, GRID, GRID)
            assert only["mean"] == pytest.approx(np.mean(only["nats"]), abs=1e-5)
            assert only["image"] == {"width": 32, "height": 32, "format": "PNG"}
            assert "reference" not in answer

    asyncio.run(scenario())


def test_another_order_of_images_is_another_order_of_maps(tiny_models: Path, index_url: str) -> None:
    images = [photo(seed) for seed in range(6)]
    order = [3, 0, 5, 1, 4, 2]

    async def scenario() -> None:
        async with client(tiny_models, index_url) as http:
            straight = maps(await http.post(ROUTE, files=form(*images)))
            turned = maps(await http.post(ROUTE, json={"input": [text(images[i]) for i in order]}))
            np.testing.assert_allclose(turned, straight[order], atol=1e-4)

    asyncio.run(scenario())


def test_boxes_lie_in_the_upright_original(tiny_models: Path, index_url: str) -> None:
    upright = landscape(300, 200)
    exif = Image.Exif()
    # Stored lying on its side, to be turned by the viewer.
    exif[ORIENTATION] = 6
    turned = encoded(upright.transpose(Image.Transpose.ROTATE_90), "PNG", exif=exif)

    async def scenario() -> None:
        async with client(tiny_models, index_url) as http:
            plain = (await http.post(ROUTE, content=encoded(upright))).json()["data"][0]
            other = (await http.post(ROUTE, content=turned)).json()["data"][0]
            assert other["image"] == {"width": 300, "height": 200, "format": "PNG"}
            assert other["boxes"] == plain["boxes"]
            np.testing.assert_allclose(other["nats"], plain["nats"], atol=1e-4)
            boxes = other["boxes"]
            assert (len(boxes), {len(row) for row in boxes}) == (GRID, {GRID})
            assert (boxes[0][0]["left"], boxes[0][0]["top"]) == (0, 0)
            assert (boxes[-1][-1]["right"], boxes[-1][-1]["bottom"]) == (300, 200)
            # The centre of row 3, column 4 is at (18, 14) of 32 and sees 5 to each side.
            sides = {
                "left": 13 / 32 * 300,
                "top": 9 / 32 * 200,
                "right": 23 / 32 * 300,
                "bottom": 19 / 32 * 200,
            }
            assert boxes[3][4] == pytest.approx(sides, abs=0.01)

    asyncio.run(scenario())


@pytest.mark.parametrize("resize_rule", ["center_crop", "letterbox"])
def test_boxes_and_pictures_follow_the_resize_rule(
    tmp_path: Path, index_url: str, resize_rule: ResizeRule
) -> None:
    rule = Preprocessing(height=32, width=32, resize_rule=resize_rule)
    card = open_artefact(build_tiny_with_rule(tmp_path, rule)).card
    image = encoded(landscape(300, 200))

    async def scenario() -> None:
        async with client(tmp_path, index_url) as http:
            response = await http.post(ROUTE, content=image)
            boxes = card.patch_grid.boxes(place(rule, (300, 200)))
            assert response.json()["data"][0]["boxes"] == [[box.model_dump() for box in row] for row in boxes]
            picture = await http.post(ROUTE, content=image, headers={"accept": "image/png"})
            drawn = Picture(
                landscape(300, 200),
                maps(response)[0].astype(np.float32),
                card.patch_grid,
                place(rule, (300, 200)),
                "pointwise MI with the image's own code, nats",
            )
            same = np.asarray(Image.open(BytesIO(draw_heat_map(drawn))).convert("RGB")).astype(int)
            shown = np.asarray(Image.open(BytesIO(picture.content)).convert("RGB")).astype(int)
            assert np.abs(shown - same).max() <= 2

    asyncio.run(scenario())


def test_an_image_as_its_own_reference_changes_nothing(tiny_models: Path, index_url: str) -> None:
    one, other = photo(1), photo(2)

    async def scenario() -> None:
        async with client(tiny_models, index_url) as http:
            own = maps(await http.post(ROUTE, content=one))
            files = [*form(one, other), ("reference", ("r.jpg", one))]
            response = await http.post(ROUTE, files=files)
            against = maps(response)
            np.testing.assert_allclose(against[:1], own, atol=1e-4)
            assert response.json()["reference"] == {"width": 32, "height": 32, "format": "JPEG"}
            # The other image's patches speak differently of the reference than of their own image.
            its_own = maps(await http.post(ROUTE, content=other))
            assert np.abs(against[1:] - its_own).max() > 1e-2
            as_json = {"input": [text(one), text(other)], "reference": text(one)}
            np.testing.assert_allclose(maps(await http.post(ROUTE, json=as_json)), against, atol=1e-4)

    asyncio.run(scenario())


def test_an_array_holds_the_same_numbers(tiny_models: Path, index_url: str) -> None:
    async def scenario() -> None:
        async with client(tiny_models, index_url) as http:
            expected = maps(await http.post(ROUTE, files=form(photo(1), photo(2))))
            response = await http.post(
                ROUTE, files=form(photo(1), photo(2)), headers={"accept": "application/x-npy"}
            )
            loaded = np.load(BytesIO(response.content), allow_pickle=False)
            assert (loaded.shape, loaded.dtype) == ((2, GRID, GRID), np.float32)
            np.testing.assert_array_equal(loaded, expected.astype(np.float32))

    asyncio.run(scenario())


@pytest.mark.parametrize("accept", ["image/png", "image/*"])
def test_a_picture_of_the_map_can_be_looked_at(tiny_models: Path, index_url: str, accept: str) -> None:
    async def scenario() -> None:
        async with client(tiny_models, index_url) as http:
            answers = [
                await http.post(ROUTE, files=files, headers={"accept": accept})
                for files in (
                    form(photo(1)),
                    form(photo(1)),
                    form(photo(2)),
                    [*form(photo(1)), ("reference", ("r.jpg", photo(2)))],
                )
            ]
            for answer in answers:
                assert answer.headers["content-type"] == "image/png"
                assert Image.open(BytesIO(answer.content)).size == (1056, 484)
            first, again, other, crossed = [answer.content for answer in answers]
            assert first == again
            assert len({first, other, crossed}) == 3

    asyncio.run(scenario())


def test_pictures_asked_for_together_are_those_asked_for_alone(tiny_models: Path, index_url: str) -> None:
    async def scenario() -> None:
        async with client(tiny_models, index_url, queue_seconds=600) as http:

            async def picture(seed: int) -> bytes:
                response = await http.post(ROUTE, content=photo(seed), headers={"accept": "image/png"})
                assert response.status_code == 200
                return response.content

            together = await asyncio.gather(*map(picture, range(4)))
            assert together == [await picture(seed) for seed in range(4)]

    asyncio.run(scenario())


REFUSALS: list[tuple[dict[str, Any], int, str, str]] = [
    (
        {"files": form(photo(), photo()), "headers": {"accept": "image/png"}},
        422,
        "one_image_expected",
        "2",
    ),
    ({"content": photo(), "headers": {"accept": "image/jpeg"}}, 406, "not_acceptable", "image/png"),
    ({"content": b"", "headers": {"accept": "image/png"}}, 400, "empty_image", "0 bytes"),
    ({"json": {"reference": text(photo())}}, 422, "no_image", "input"),
    ({"json": {"input": text(photo()), "dimensions": 3}}, 422, "invalid_parameter", "'dimensions'"),
    ({"json": {"input": text(photo()), "reference": 3}}, 422, "invalid_base64", "reference"),
    (
        {"json": {"input": text(photo()), "reference": "QUJD"}},
        415,
        "unsupported_format",
        "The reference: ",
    ),
    (
        {"files": [*form(photo()), *[("reference", ("r", photo()))] * 2]},
        422,
        "invalid_parameter",
        "given twice",
    ),
    (
        {"files": [*form(photo(), b"?"), ("reference", ("r", photo()))]},
        415,
        "unsupported_format",
        "Image 1: ",
    ),
]


def test_a_refusal_says_what_is_wrong(tiny_models: Path, index_url: str) -> None:
    async def scenario() -> None:
        async with client(tiny_models, index_url) as http:
            for request, status, code, says in REFUSALS:
                check_refusal(await http.post(ROUTE, **request), status, code, says)

    asyncio.run(scenario())
