"""Thumbnails and originals of items, however their images came in."""

import asyncio
import base64
import hashlib
import json
from io import BytesIO
from pathlib import Path

import httpx
import numpy as np
import psycopg
import pytest
from PIL import Image

from contract.image_formats import media_type
from contract.images import ALLOWED_FORMATS
from tests.pictures import encoded, landscape, photo
from tests.service.client import check_refusal, client
from tests.tiny_model import EMBEDDING


async def opened(http: httpx.AsyncClient, item_id: str) -> Image.Image:
    response = await http.get(f"/v1/thumbnails/{item_id}")
    assert response.status_code == 200, response.text
    assert response.headers["x-content-type-options"] == "nosniff"
    picture = Image.open(BytesIO(response.content))
    assert response.headers["content-type"] == Image.MIME[str(picture.format)]
    return picture


def test_an_image_has_a_thumbnail_however_it_came_in(tiny_models: Path, index_url: str) -> None:
    image = encoded(landscape(300, 150), "WEBP")
    line = json.dumps({"id": "cats/3", "image": base64.b64encode(image).decode()})

    async def scenario() -> None:
        async with client(tiny_models, index_url) as http:
            await http.put("/v1/items/cats/1", content=image)
            await http.post("/v1/items", files=[("f", ("cats/2", image)), ("f", ("other", image))])
            await http.post("/v1/items", content=line, headers={"content-type": "application/x-ndjson"})
            for name in ("cats/1", "cats/2", "cats/3", "other"):
                assert (await opened(http, name)).size == (128, 64)

    asyncio.run(scenario())


def test_a_small_image_is_kept_pixel_by_pixel(tiny_models: Path, index_url: str) -> None:
    picture = landscape(60, 40)

    async def scenario() -> None:
        async with client(tiny_models, index_url) as http:
            await http.put("/v1/items/a", content=encoded(picture))
            np.testing.assert_array_equal(np.asarray(await opened(http, "a")), np.asarray(picture))

    asyncio.run(scenario())


def test_a_thumbnail_is_upright_and_holds_no_metadata(tiny_models: Path, index_url: str) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    exif[0x010E] = "taken at home"
    image = encoded(landscape(300, 150), "JPEG", exif=exif)

    async def scenario() -> None:
        async with client(tiny_models, index_url) as http:
            await http.put("/v1/items/a", content=image)
            thumbnail = await http.get("/v1/thumbnails/a")
            assert Image.open(BytesIO(thumbnail.content)).size == (64, 128)
            assert b"home" not in thumbnail.content

    asyncio.run(scenario())


@pytest.mark.parametrize("where", ["database", "folder"])
def test_originals_are_kept_to_the_byte_by_choice(
    tiny_models: Path, index_url: str, tmp_path: Path, where: str
) -> None:
    image, folder = photo(3, 200, 100), tmp_path / "originals"

    async def scenario() -> None:
        async with client(tiny_models, index_url, originals=where, originals_dir=folder) as http:
            await http.put("/v1/items/a", content=image)
            await http.post("/v1/items", files=[("f", ("b", image)), ("f", ("c", photo(4)))])
            for name in "ab":
                response = await http.get(f"/v1/originals/{name}")
                assert (response.content, response.headers["content-type"]) == (image, "image/jpeg")

    asyncio.run(scenario())
    digest = hashlib.sha256(image).hexdigest()
    kept = {path.name for path in folder.glob("*/*")}
    with psycopg.connect(index_url) as connection:
        rows = connection.execute("SELECT original FROM infomax.items ORDER BY id").fetchall()
    if where == "folder":
        assert kept == {digest, hashlib.sha256(photo(4)).hexdigest()}
        assert rows == [(None,)] * 3
    else:
        assert (kept, rows) == (set(), [(image,), (image,), (photo(4),)])


def test_what_is_not_kept_is_said(tiny_models: Path, index_url: str) -> None:
    async def scenario() -> None:
        async with client(tiny_models, index_url) as http:
            await http.put("/v1/items/image", content=photo())
            await http.put("/v1/items/vector", json={"vector": [1.0] * EMBEDDING})
            check_refusal(await http.get("/v1/originals/image"), 404, "picture_not_kept", "INFOMAX_ORIGINALS")
            check_refusal(
                await http.get("/v1/thumbnails/vector"), 404, "picture_not_kept", "stored as a vector"
            )
            check_refusal(await http.get("/v1/thumbnails/other"), 404, "item_not_found", "'other'")

    asyncio.run(scenario())


def test_a_replaced_item_has_the_new_picture(tiny_models: Path, index_url: str) -> None:
    async def scenario() -> None:
        async with client(tiny_models, index_url) as http:
            await http.put("/v1/items/a", content=encoded(landscape(60, 40)))
            await http.put("/v1/items/a", content=encoded(landscape(40, 60)))
            assert (await opened(http, "a")).size == (40, 60)
            await http.put("/v1/items/a", json={"vector": [1.0] * EMBEDDING})
            check_refusal(await http.get("/v1/thumbnails/a"), 404, "picture_not_kept", "'a'")

    asyncio.run(scenario())


def test_an_item_is_not_stored_without_the_original_that_it_should_have(
    tiny_models: Path, index_url: str, tmp_path: Path
) -> None:
    (tmp_path / "file").write_bytes(b"")
    changes = {"originals": "folder", "originals_dir": tmp_path / "file"}

    async def scenario() -> None:
        async with client(tiny_models, index_url, **changes) as http:
            check_refusal(
                await http.put("/v1/items/a", content=photo()), 503, "index_unavailable", "originals cannot"
            )
            check_refusal(await http.get("/v1/items/a"), 404, "item_not_found", "'a'")
            lines = (await http.post("/v1/items", files=[("f", ("a", photo()))])).text.splitlines()
            assert json.loads(lines[0])["error"]["code"] == "index_unavailable"

    asyncio.run(scenario())


@pytest.mark.parametrize("image_format", ALLOWED_FORMATS)
def test_an_original_has_the_media_type_of_its_format(image_format: str) -> None:
    assert media_type(photo(image_format=image_format)) == f"image/{image_format.lower()}"


def test_what_is_no_image_has_no_media_type_of_one() -> None:
    assert media_type(b"hello") == "application/octet-stream"
