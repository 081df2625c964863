"""The client for Python against the real service: answers, faults, and a service that dies and comes back."""

import asyncio
import http.server
import socket
import threading
from collections.abc import Iterable, Iterator
from functools import partial
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pytest
from PIL import Image

from infomax.client import (
    AsyncClient,
    BatchResult,
    BatchState,
    Client,
    ClientError,
    ImageFailure,
    ImageResult,
    RequestRefusedError,
    Retry,
    ServiceUnreachableError,
    UploadItem,
)
from service.quotas.api_keys import new_key, table_of
from tests.end_to_end.faulty_proxy import faulty_proxy
from tests.end_to_end.server import Server, serving
from tests.pictures import photo

Kind = Literal["threads", "asyncio"]
KINDS: tuple[Kind, ...] = ("threads", "asyncio")
BROKEN = (3, 50, 119)
COUNT = 120


@pytest.fixture(scope="module")
def server(
    tiny_models: Path, module_index: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Server]:
    folder = tmp_path_factory.mktemp("client")
    settings = {"index_regions": True, "database_url": module_index}
    with serving(tiny_models, folder, workers=1, **settings) as running:
        yield running


@pytest.fixture(scope="module")
def paths(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Images, a few of them broken in different ways."""
    folder = tmp_path_factory.mktemp("images")
    files = [folder / f"{number:03}.jpg" for number in range(COUNT)]
    for number, file in enumerate(files):
        file.write_bytes(photo(number))
    files[BROKEN[0]].write_bytes(b"not an image")
    files[BROKEN[1]].unlink()
    files[BROKEN[2]].write_bytes(photo(BROKEN[2])[:-200])
    return files


def batch(
    kind: Kind, url: str, images: Iterable[Any], retry: Retry | None = None, **options: Any
) -> list[BatchResult]:
    """All results of a batch, by either client."""
    if kind == "threads":
        with Client(url, retry=retry) as client:
            return [*client.batch(images, **options)]

    async def run() -> list[BatchResult]:
        async with AsyncClient(url, retry=retry) as client:
            return [one async for one in client.batch(images, **options)]

    return asyncio.run(run())


def check(results: list[BatchResult], paths: list[Path]) -> None:
    """One result for each image, in order; the broken ones are named."""
    assert [one.index for one in results] == list(range(len(paths)))
    assert [one.id for one in results] == [*map(str, paths)]
    failures = {one.index: one.code for one in results if isinstance(one, ImageFailure)}
    assert failures == dict(
        zip(BROKEN, ("unsupported_format", "unreadable_file", "truncated_image"), strict=True)
    )


@pytest.mark.parametrize("kind", KINDS)
def test_a_batch_has_one_result_for_each_image_in_order(
    kind: Kind, server: Server, paths: list[Path]
) -> None:
    states: list[BatchState] = []
    results = batch(kind, server.url, paths, progress=states.append)
    check(results, paths)
    assert (states[-1].done, states[-1].failed, states[-1].total) == (COUNT, len(BROKEN), COUNT)
    with Client(server.url) as client:
        alone = client.embeddings([paths[7], paths[100]])
    assert alone.model == "tiny/1"
    for one, vector in zip((results[7], results[100]), alone.vectors, strict=True):
        assert isinstance(one, ImageResult)
        assert one.embedding is not None
        np.testing.assert_allclose(one.embedding, vector, atol=1e-5)


@pytest.mark.parametrize("kind", KINDS)
def test_a_batch_answers_what_is_asked_for(kind: Kind, server: Server) -> None:
    with Client(server.url) as client:
        client.put_item("batch/1.jpg", photo(1), metadata={"batch": True})
    images = [("first", photo(1)), ("second", photo(2))]
    outputs = ("mi_map", "neighbours")
    results = batch(kind, server.url, images, outputs=outputs, k=1, filter={"batch": True}, recall="exact")
    first, second = (one for one in results if isinstance(one, ImageResult))
    assert (first.id, second.id) == ("first", "second")
    assert first.embedding is None
    assert first.mi_map is not None
    assert first.mi_map.values.shape == (8, 8)
    assert first.neighbours is not None
    assert first.neighbours[0].id == "batch/1.jpg"
    assert first.neighbours[0].score == pytest.approx(1, abs=1e-5)
    with pytest.raises(ValueError, match="Choose of embedding, mi_map, neighbours"):
        batch(kind, server.url, images, outputs=("vectors",))


def test_whole_requests_and_items(server: Server, paths: list[Path]) -> None:
    with Client(server.url) as client:
        picture = Image.open(paths[0])
        same = client.embeddings([picture, np.asarray(picture), paths[0]], dimensions=8).vectors
        assert same.shape == (3, 8)
        np.testing.assert_array_equal(same[0], same[1])
        maps = client.mi_maps([paths[0], paths[1]], reference=paths[2])
        assert [one.values.shape for one in maps.maps] == [(8, 8), (8, 8)]
        assert maps.maps[0].boxes is not None
        assert maps.maps[0].boxes.shape == (8, 8, 4)
        assert maps.maps[0].image is not None
        assert maps.maps[0].image.format == "JPEG"
        client.put_item("whole/a b.jpg", paths[0], metadata={"label": "ä"})
        client.put_item("whole/vector", vector=[1.0] * 20)
        item = client.get_item("whole/a b.jpg")
        assert (item.metadata, item.model) == ({"label": "ä"}, "tiny/1")
        (hit,) = client.neighbours(paths[0], k=1, explain=True, filter={"label": "ä"}, min_score=0.5)
        assert hit.explanation is not None
        assert hit.explanation.query.unit == "nats"
        assert hit.explanation.hit is not None
        assert hit.explanation.source == "thumbnail"
        found = client.neighbours(paths[0], k=1, maps=("information", "contribution"), embedding=True)
        assert [*found.maps] == ["information", "contribution"]
        assert found.maps["information"].boxes is not None
        assert found.embedding is not None
        np.testing.assert_allclose(found.embedding, client.embeddings([paths[0]]).vectors[0], atol=1e-5)
        assert client.mi_maps([paths[0]], resolution=2).maps[0].values.shape == (16, 16)
        contribution = client.mi_maps([paths[0]], kind="contribution")
        assert (contribution.kind, contribution.maps[0].kind) == ("contribution", "contribution")
        assert client.neighbours(id="whole/a b.jpg", k=1, recall="exact")[0].score == pytest.approx(
            1, abs=1e-5
        )
        whole = client.neighbours(vector=[1.0] * 20, k=1)
        assert (whole[0].id, whole.items_without_regions) == ("whole/vector", None)
        for part in ({"region": (0, 0, 5.5, 4)}, {"patches": [(0, 0), (1, 0)]}):
            (hit,) = hits = client.neighbours(id="whole/a b.jpg", k=1, **part)
            # At least the bare vector.
            assert (hits.items_without_regions or 0) >= 1
            assert hit.id == "whole/a b.jpg"
            assert hit.score == pytest.approx(1, abs=1e-6)
            assert hit.region is not None
            assert hit.region[:2] == (0, 0)
        assert [one.id for one in client.list_items("whole/")] == ["whole/a b.jpg", "whole/vector"]
        assert [one.id for one in client.list_items("whole/", filter={"label": "ä"})] == ["whole/a b.jpg"]
        client.delete_item("whole/vector")
        assert client.delete_items("whole/") == 1
        with pytest.raises(RequestRefusedError) as caught:
            client.get_item("whole/vector")
        assert (caught.value.status, caught.value.code) == (404, "item_not_found")
        assert caught.value.request_id
        assert client.models()[0].id == "tiny/1"
        assert client.model("tiny").card["name"] == "tiny"
        assert client.index_statistics()["dimensions"] == 20
        assert len(client.index_plane(limit=5)["mean"]) in (0, 20)
        with pytest.raises(ValueError, match="Search by one of"):
            client.neighbours()


def test_asynchronous_requests(server: Server, paths: list[Path]) -> None:
    async def run() -> None:
        async with AsyncClient(server.url) as client:
            answers = await asyncio.gather(*(client.embeddings([path]) for path in paths[:3]))
            assert all(one.vectors.shape == (1, 20) for one in answers)
            assert (await client.mi_maps([paths[0]])).maps[0].values.shape == (8, 8)
            await client.put_item("async/1", paths[0])
            assert (await client.get_item("async/1")).vector is not None
            assert (await client.neighbours(paths[0], k=1, recall="exact"))[0].score == pytest.approx(
                1, abs=1e-5
            )
            assert [one.id async for one in client.list_items("async/")] == ["async/1"]
            items = [UploadItem(f"async/{number}", paths[number]) for number in (1, 2, 3)]
            assert [one.ok async for one in client.index(items)] == [True, True, False]
            assert await client.delete_items("async/") == 2
            assert (await client.models())[0].state == "ready"

    asyncio.run(run())


@pytest.mark.parametrize("kind", KINDS)
def test_links_are_fetched_by_the_client(kind: Kind, server: Server, paths: list[Path]) -> None:
    handler = partial(http.server.SimpleHTTPRequestHandler, directory=paths[0].parent)
    handler.log_message = lambda *_: None  # type: ignore[attr-defined]
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as files:
        threading.Thread(target=files.serve_forever, daemon=True).start()
        link = f"http://127.0.0.1:{files.server_port}"
        images = [f"{link}/000.jpg", paths[1], f"{link}/missing.jpg", f"{link}/002.jpg"]
        results = batch(kind, server.url, images)
        files.shutdown()
    assert [one.ok for one in results] == [True, True, False, True]
    assert isinstance(results[2], ImageFailure)
    assert (results[2].id, results[2].code) == (f"{link}/missing.jpg", "fetch_failed")
    assert "404" in results[2].message


@pytest.mark.parametrize("kind", KINDS)
def test_refusals_and_answers_that_are_cut_short_are_gone_on_from(
    kind: Kind, server: Server, paths: list[Path]
) -> None:
    with faulty_proxy(server.url) as proxy:
        proxy.refusals, proxy.cuts = 3, 3
        check(batch(kind, proxy.url, paths, Retry(first_wait=0.01)), paths)
        assert (proxy.refusals, proxy.cuts) == (0, 0)
        proxy.refusals, proxy.retry_after = 1, 3600
        with pytest.raises(RequestRefusedError, match="overloaded") as caught:
            batch(kind, proxy.url, paths)
        assert caught.value.retry_after == 3600


@pytest.mark.parametrize("kind", KINDS)
def test_a_service_that_is_not_there_is_named_when_the_time_is_over(kind: Kind) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        url = f"http://127.0.0.1:{listener.getsockname()[1]}"
    with pytest.raises(ServiceUnreachableError, match=url):
        batch(kind, url, [photo(1)], Retry(seconds=0))
    with pytest.raises(ClientError, match="Begin it with http"):
        batch(kind, "ftp://127.0.0.1", [photo(1)])


def test_limits_of_a_key_are_waited_for_or_raised(
    tiny_models: Path, index_url: str, tmp_path: Path, paths: list[Path]
) -> None:
    fast, daily = new_key(), new_key()
    keys = tmp_path / "keys.toml"
    keys.write_text(table_of("fast", fast, 20, None) + table_of("daily", daily, None, 30))
    images = [photo(number) for number in range(20)]
    with serving(tiny_models, tmp_path, workers=1, api_keys_file=keys, database_url=index_url) as server:
        with Client(server.url, api_key=fast) as client:
            for _ in range(2):
                assert client.embeddings(images).vectors.shape == (20, 20)
        assert any(record.get("status") == 429 for record in server.records())
        with (
            Client(server.url, api_key=daily) as client,
            pytest.raises(RequestRefusedError, match="quota_exceeded"),
        ):
            [*client.batch(images * 2, timeout=1)]
        with Client(server.url) as client, pytest.raises(RequestRefusedError, match="missing_api_key"):
            client.models()


@pytest.mark.parametrize("kind", KINDS)
def test_a_service_that_is_killed_and_comes_back_costs_no_result(
    kind: Kind, tiny_models: Path, paths: list[Path], tmp_path: Path
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    images = paths[4:50] * 40
    servers = [Server(tiny_models, tmp_path / "1", workers=1, port=port).wait_until_ready()]

    def replace() -> None:
        servers[0].kill()
        servers.append(Server(tiny_models, tmp_path / "2", workers=1, port=port).wait_until_ready())

    async def run() -> list[BatchResult]:
        results: list[BatchResult] = []
        async with AsyncClient(servers[0].url) as client:
            async for one in client.batch(images):
                results.append(one)
                if len(results) == 100:
                    await asyncio.to_thread(replace)
        return results

    results: list[BatchResult] = []
    try:
        if kind == "asyncio":
            results = asyncio.run(run())
        else:
            with Client(servers[0].url) as client:
                for one in client.batch(images):
                    results.append(one)
                    if len(results) == 100:
                        replace()
        assert [one.index for one in results] == list(range(len(images)))
        assert all(one.ok for one in results)
        # Both have answered a part.
        assert all(server.records() for server in servers)
    finally:
        for server in servers:
            server.clean_up()


def test_an_upload_goes_on_where_its_journal_says(server: Server, paths: list[Path], tmp_path: Path) -> None:
    journal = tmp_path / "journal"

    def items(last: int) -> Iterator[UploadItem]:
        for number, path in enumerate(paths):
            if number == last:
                raise LookupError("the list ends here")
            yield UploadItem(f"upload/{path.name}", path, metadata={"number": number})

    with Client(server.url) as client:
        first = client.index(items(100), journal=journal)
        assert [next(first).index for _ in range(100)] == list(range(100))
        with pytest.raises(LookupError):
            next(first)
        rest = [*client.index(items(COUNT + 1), journal=journal)]
        assert [one.index for one in rest] == list(range(100, COUNT))
        stored = [one.id for one in client.list_items("upload/")]
        assert stored == [f"upload/{path.name}" for number, path in enumerate(paths) if number not in BROKEN]
        assert client.delete_items("upload/") == COUNT - len(BROKEN)


def test_a_batch_that_is_left_ends_its_requests(server: Server, paths: list[Path]) -> None:
    read: list[Path] = []

    def images() -> Iterator[Path]:
        for path in paths * 1000:
            read.append(path)
            yield path

    before = threading.active_count()
    with Client(server.url, concurrency=2) as client:
        results = client.batch(images())
        assert next(results).index == 0
        results.close()  # type: ignore[attr-defined]
    assert threading.active_count() == before
    assert len(read) < 5000
