"""Decode stage."""

import asyncio
from pathlib import Path
from threading import current_thread

import pytest

from contract.image_limits import ImageLimits
from contract.images import decode
from contract.preprocessing import Preprocessing
from service.inference import decoding
from service.inference.results import Failed, Want
from tests.pictures import photo, plain
from tests.service.faults import running


def test_small_and_large_pictures_of_many_formats_go_through_together(tiny_models: Path) -> None:
    sizes = [(32, 32), (900, 700), (33, 7), (1600, 1200)]
    formats = ["JPEG", "PNG", "WEBP", "GIF", "BMP"]
    pictures = [photo(seed, *sizes[seed % 4], formats[seed % 5]) for seed in range(40)]

    async def scenario() -> None:
        async with running(tiny_models) as pipeline:
            outcomes = await pipeline.embed(pictures, Want.EMBEDDING)
            assert [one for one in outcomes if isinstance(one, Failed)] == []
            images = [one.image for one in outcomes if not isinstance(one, Failed)]
            assert [(one.original_width, one.original_height) for one in images] == sizes * 10
            assert [one.format for one in images] == formats * 8

    asyncio.run(scenario())


def test_few_bytes_that_are_many_pixels_go_through_the_decode_stage(
    tiny_models: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    threads: dict[bytes, str] = {}

    def seen(data: bytes, rule: Preprocessing, limits: ImageLimits, *_: object) -> object:
        threads[data] = current_thread().name
        return decode(data, rule, limits)

    monkeypatch.setattr(decoding, "decode", seen)
    small, wide, broken = plain(1), plain(2, 400), photo()[:-300]

    async def scenario() -> None:
        async with running(tiny_models) as pipeline:
            outcomes = await pipeline.embed([small, wide, broken], Want.EMBEDDING)
            assert [one.code for one in outcomes if isinstance(one, Failed)] == ["truncated_image"]
            assert isinstance(outcomes[2], Failed)

    asyncio.run(scenario())
    assert len(wide) < len(photo(1, 640, 480))
    assert threads == {
        small: "infomax-inference",
        wide: "infomax-decode",
        broken: "infomax-inference",
    }


def test_a_decoder_that_fails_unexpectedly_costs_one_image(
    tiny_models: Path, monkeypatch: pytest.MonkeyPatch
) -> None:

    def fragile(data: bytes, *rest: object) -> object:
        if data == b"cursed":
            raise MemoryError
        return decode(data, *rest)  # type: ignore[arg-type]

    async def scenario() -> None:
        async with running(tiny_models) as pipeline:
            monkeypatch.setattr(decoding, "decode", fragile)
            outcomes = await pipeline.embed([photo(1), b"cursed", photo(2)], Want.EMBEDDING)
            assert [isinstance(one, Failed) for one in outcomes] == [False, True, False]
            assert pipeline.readiness.ready

    asyncio.run(scenario())


def test_a_dying_decode_thread_loses_no_caller(tiny_models: Path, monkeypatch: pytest.MonkeyPatch) -> None:

    def fatal(data: bytes, *rest: object) -> object:
        if data == b"cursed":
            raise SystemExit(3)
        return decode(data, *rest)  # type: ignore[arg-type]

    async def scenario() -> None:
        async with running(tiny_models, decode_threads=1) as pipeline:
            monkeypatch.setattr(decoding, "decode", fatal)
            (outcome,) = await pipeline.embed([b"cursed"], Want.EMBEDDING)
            assert isinstance(outcome, Failed)
            assert outcome.code == "inference_failed"
            (after,) = await pipeline.embed([photo()], Want.EMBEDDING)
            assert not isinstance(after, Failed)

    asyncio.run(scenario())
