"""`infomax reindex`: a new model's space from the originals, whatever happens meanwhile."""

import asyncio
import os
import signal
import subprocess
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import orjson
import psycopg
import pytest
import typer
from typer.testing import CliRunner, Result

from contract.artefact import open_artefact
from contract.card import ModelCard
from service.cli.reindex import reindex
from service.index.cells import CellGrid
from service.index.items import NewItem
from service.index.search import Query
from service.inference.model import open_model
from service.inference.results import Embedded, Want
from tests.pictures import photo
from tests.service.client import client
from tests.service.faults import running, settings
from tests.service.index_jobs.conftest import ended_well, refused
from tests.service.index_session import directions, opened
from tests.tiny_model import GRID, UNITS, build_tiny_model
from tests.training.command import EXECUTABLE

COUNT = 40
LONG_AGO = datetime(2001, 1, 1, tzinfo=UTC)


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with `tiny/1` and a newer `tiny/2`, whose vectors are others."""
    folder = tmp_path_factory.mktemp("two-models")
    build_tiny_model(folder)
    build_tiny_model(folder, 2, seed=1)
    return folder


def card_of(models: Path, version: int) -> ModelCard:
    return open_artefact(models / "tiny" / str(version)).card


def name(number: int) -> str:
    return f"{number:03}"


def images() -> dict[str, bytes]:
    return {name(number): photo(number) for number in range(COUNT)}


def store(url: str, models: Path, content: Mapping[str, bytes], /, **changes: object) -> None:
    """Store images by the service of `tiny/1`."""

    async def run() -> None:
        async with client(models, url, None, model="tiny/1", **changes) as http:
            for item_id, data in content.items():
                fields = {"metadata": orjson.dumps({"name": item_id}).decode()}
                answer = await http.put(f"/v1/items/{item_id}", files={"image": data}, data=fields)
                assert answer.is_success, answer.text

    asyncio.run(run())


def run_command(url: str, models: Path, *arguments: object, version: int = 2) -> Result:
    app = typer.Typer()
    app.command()(reindex)
    fixed = ["--database-url", url, "--models-dir", models, "--model", f"tiny/{version}", "--device", "cpu"]
    return CliRunner().invoke(app, [str(one) for one in (*fixed, *arguments)])


def vectors_of(models: Path, version: int, content: Mapping[str, bytes]) -> np.ndarray:
    async def run() -> np.ndarray:
        async with running(models, open_model(settings(models, model=f"tiny/{version}"))) as pipeline:
            outcomes = await pipeline.embed(list(content.values()), Want.EMBEDDING)
            return np.stack([one.embedding for one in outcomes if isinstance(one, Embedded)])

    return asyncio.run(run())


def times(url: str) -> list[tuple[int, str, object]]:
    with psycopg.connect(url) as connection:
        return connection.execute(
            "SELECT space, id, updated FROM infomax.items ORDER BY id, space"
        ).fetchall()


def test_the_new_space_holds_what_the_new_model_makes_of_the_originals(index_url: str, models: Path) -> None:
    content = images()
    store(index_url, models, content, originals="database")
    assert "40 images of space 1 (tiny/1, 40 items) embedded by tiny/2, 0 items left out" in ended_well(
        run_command(index_url, models, "--index-exact-items", 30)
    )
    expected = vectors_of(models, 2, content)

    async def check() -> None:
        async with opened(index_url, card_of(models, 1)) as old:
            assert (await old.search(Query(vectors_of_old[3], 1)))[0].id == name(3)
            spaces = (await old.statistics()).spaces
            assert [(one.model, one.items, one.search) for one in spaces] == [
                ("tiny/1", 40, "exact"),
                ("tiny/2", 40, "hnsw"),
            ]
        async with opened(index_url, card_of(models, 2)) as index:
            for number, item_id in enumerate(content):
                item = await index.get(item_id)
                assert item is not None
                np.testing.assert_allclose(item.vector, expected[number], atol=1e-5)
                assert item.metadata == {"name": item_id}
            kept = await index.pictures(list(content))
        # They were in the database, and stay there, whatever this command's settings say of new images.
        assert {item_id: kept[item_id].original for item_id in content} == content
        assert all(kept[item_id].thumbnail for item_id in content)

    vectors_of_old = vectors_of(models, 1, content)
    asyncio.run(check())
    stamps = times(index_url)
    assert [one[1:] for one in stamps[::2]] == [one[1:] for one in stamps[1::2]]


def test_items_without_an_original_are_named_counted_and_listed(
    index_url: str, models: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "originals"
    store(index_url, models, {"thumb": photo(1)})
    store(index_url, models, {"kept": photo(2), "gone": photo(3)}, originals="folder", originals_dir=folder)
    for path in folder.glob("*/*"):
        if path.read_bytes() == photo(3):
            path.unlink()

    async def put_bare() -> None:
        card = card_of(models, 1)
        async with opened(index_url, card) as index:
            await index.put([NewItem("bare", directions(card, 1)[0])])

    asyncio.run(put_bare())
    rejects = tmp_path / "rejects.ndjson"
    done = run_command(index_url, models, "--originals-dir", folder, "--rejects", rejects)
    assert done.exit_code == 3
    assert "1 image of space 1 (tiny/1, 4 items) embedded by tiny/2, 3 items left out (no_original 3)" in (
        done.stdout
    )
    reasons = {
        "bare": "It is a bare vector, without an image. Store it again by its image.",
        "gone": f"Its original is gone from {folder}. Store it again by its image.",
        "thumb": "Its original was not kept. Store it again by its image.",
    }
    assert {
        row["id"]: row["message"] for row in map(orjson.loads, rejects.read_bytes().splitlines())
    } == reasons
    for item_id, reason in reasons.items():
        assert f"left out {item_id}: {reason}" in done.stderr


def test_a_later_run_takes_in_what_has_changed_and_nothing_else(index_url: str, models: Path) -> None:
    content = {item_id: data for item_id, data in images().items() if item_id < "010"}
    store(index_url, models, content, originals="database")
    ended_well(run_command(index_url, models))
    assert "0 images of" in ended_well(run_command(index_url, models))

    new, old = card_of(models, 2), card_of(models, 1)
    mine = directions(new, 1)[0]

    async def change() -> None:
        async with opened(index_url, new) as index:
            await index.put([NewItem("003", mine)])
        async with opened(index_url, old) as index:
            assert await index.delete("004")

    store(index_url, models, {"001": photo(70), "new": photo(71)}, originals="database")
    asyncio.run(change())
    assert "2 images of" in ended_well(run_command(index_url, models))
    (vector,) = vectors_of(models, 2, {"001": photo(70)})

    async def vectors() -> dict[str, np.ndarray]:
        async with opened(index_url, new) as index:
            return await index.vectors(["001", "003", "004", "new"])

    found = asyncio.run(vectors())
    np.testing.assert_allclose(found["001"], vector, atol=1e-5)
    # A client has stored it after the old one.
    assert found["003"].tolist() == mine.tolist()
    assert set(found) == {"001", "003", "004", "new"}
    assert "0 images of space 1 (tiny/1, 10 items) embedded by tiny/2, 1 removed" in ended_well(
        run_command(index_url, models, "--prune")
    )
    assert set(asyncio.run(vectors())) == {"001", "003", "new"}


def test_without_another_space_there_is_nothing_to_re_index(index_url: str, models: Path) -> None:
    store(index_url, models, {"a": photo(1)}, originals="database")
    assert refused(run_command(index_url, models, version=1)) == (
        "The index holds no items of another model. Check --data-dir or --database-url."
    )
    assert "has no space tiny/9" in refused(run_command(index_url, models, "--from", "tiny/9"))


def test_images_of_before_get_regions_from_their_originals(index_url: str, models: Path) -> None:
    content = {item_id: data for item_id, data in images().items() if item_id < "010"}
    store(index_url, models, content, originals="database")
    store(index_url, models, {"cut": photo(60)}, originals="database", index_regions=True)
    store(index_url, models, {"thumb": photo(61)})
    before = times(index_url)
    assert "are of this model already" in refused(
        run_command(index_url, models, "--from", "tiny/1", version=1)
    )
    command = (index_url, models, "--from", "tiny/1", "--index-regions")
    done = run_command(*command, version=1)
    assert done.exit_code == 3
    assert "10 images of space 1 (tiny/1, 12 items) embedded by tiny/1, 1 item left out" in done.stdout
    assert times(index_url) == before

    async def find() -> None:
        async with client(models, index_url, None, model="tiny/1", index_regions=True) as http:
            for item_id, data in content.items():
                found = (
                    await http.post("/v1/neighbours", content=data, params={"region": "[0, 0, 16, 16]"})
                ).json()
                assert found["neighbours"][0]["id"] == item_id
                assert found["items_without_regions"] == 1

    asyncio.run(find())
    assert "0 images of space 1" in run_command(*command, version=1).stdout


def test_cells_come_too_late_for_an_image_that_has_changed(index_url: str, models: Path) -> None:
    card = card_of(models, 1)
    cells = CellGrid.of(card).pool(np.ones((UNITS, GRID, GRID), np.float32))
    read = [
        NewItem(item_id, vector, width=1, height=1, updated=LONG_AGO, cells=cells)
        for item_id, vector in zip(("changed", "deleted", "same"), directions(card, 3), strict=True)
    ]

    async def run() -> None:
        async with opened(index_url, card, regions=True) as index:
            await index.put([replace(one, cells=None) for one in read])
            await index.put([replace(read[0], updated=None, cells=None)])
            await index.delete("deleted")
            await index.put_cells(read)
            assert [await index.cells(one.id) is not None for one in read] == [False, False, True]
            assert [one.id for one in await index.list_items("", "", 9)] == ["changed", "same"]

    asyncio.run(run())


def test_a_run_that_is_killed_is_gone_on_with(index_url: str, models: Path) -> None:
    store(index_url, models, images(), originals="database")
    new = card_of(models, 2)

    async def make_space() -> None:
        async with opened(index_url, new) as index:
            await index.statistics()

    asyncio.run(make_space())
    environment = {
        **os.environ,
        "INFOMAX_DATABASE_URL": index_url,
        "INFOMAX_MODELS_DIR": str(models),
        "INFOMAX_MODEL": "tiny/2",
        "INFOMAX_DEVICE": "cpu",
        "INFOMAX_MAX_BATCH": "8",
    }
    command = [EXECUTABLE, "reindex"]
    with psycopg.connect(index_url) as holding, psycopg.connect(index_url, autocommit=True) as watching:
        # The last chunk waits for this transaction.
        holding.execute(
            "INSERT INTO infomax.items (space, id, embedding, metadata) VALUES (2, %s, %s::vector, '{}')",
            [name(COUNT - 1), str(directions(new, 1)[0].tolist())],
        )
        process = subprocess.Popen(command, env=environment, stderr=subprocess.PIPE, text=True)
        while not watching.execute(
            "SELECT FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()"
        ).rowcount:
            assert process.poll() is None, process.communicate()
        process.send_signal(signal.SIGKILL)
        process.communicate()
        (done,) = watching.execute("SELECT count(*) FROM infomax.items_2").fetchone() or (0,)
        holding.rollback()
    assert 0 < done < COUNT
    again = subprocess.run(command, env=environment, capture_output=True, text=True)
    assert again.returncode == 0, again.stderr
    assert again.stdout.startswith(
        f"{COUNT - done} images of space 1 (tiny/1, {COUNT} items) embedded by tiny/2"
    )
