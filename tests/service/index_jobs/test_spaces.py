"""`infomax index stats` and `drop`: spaces are listed, chosen and removed, also under a running service."""

import asyncio
from pathlib import Path

import orjson
import pytest
from typer.testing import CliRunner

from contract.card import ModelCard
from service.cli.index import index as index_group
from service.index.embedded import EmbeddedPostgres
from service.index.errors import IndexUnavailableError
from service.index.items import NewItem
from service.index.schema import migrate
from service.index.search import Query
from tests.service.index_jobs.conftest import Command, ended_well, refused
from tests.service.index_session import directions, items_of, opened


def test_a_command_joins_a_running_server_and_starts_one_where_none_runs(
    card: ModelCard, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("INFOMAX_DATABASE_URL", raising=False)

    def items() -> int:
        done = CliRunner().invoke(index_group, ["stats", "--json", "--data-dir", str(tmp_path / "data")])
        return int(orjson.loads(ended_well(done))["items"])

    async def fill(url: str) -> None:
        async with opened(url, card) as index:
            await index.put(items_of(directions(card, 3)))

    with EmbeddedPostgres(tmp_path / "data") as server:
        migrate(server.url)
        asyncio.run(fill(server.url))
        pid = server.pid
        assert items() == 3
        # The server of the service goes on.
        assert server.pid == pid
        asyncio.run(fill(server.url))
    assert items() == 3


def test_the_space_is_chosen_by_number_or_model_and_a_doubt_is_named(
    index_url: str, card: ModelCard, command: Command, tmp_path: Path
) -> None:
    out = tmp_path / "items.parquet"
    assert refused(command(index_url, "export", out)) == (
        "The index holds no items. Check --data-dir or --database-url."
    )
    later = card.model_copy(update={"version": 2})
    other_pixels = later.model_copy(update={"preprocessing_sha256": "0" * 64})

    async def fill() -> None:
        for number, one in enumerate((card, later, other_pixels), start=1):
            async with opened(index_url, one) as index:
                await index.put(items_of(directions(card, number)))

    asyncio.run(fill())
    assert refused(command(index_url, "export", out)) == (
        "The index holds items in several spaces: space 1 (tiny/1, 1 items), space 2 (tiny/2, 2 items), "
        "space 3 (tiny/2, 3 items). Choose one by --space NUMBER."
    )
    assert "has several spaces of tiny/2" in refused(command(index_url, "export", out, "--space", "tiny/2"))
    assert "has no space 9" in refused(command(index_url, "export", out, "--space", "9"))
    assert "1 items of tiny/1" in ended_well(command(index_url, "export", out, "--space", "tiny/1"))
    table = ended_well(command(index_url, "stats"))
    assert [line.split("\t")[:2] for line in table.splitlines()[1:]] == [
        ["1", "tiny/1"],
        ["2", "tiny/2"],
        ["3", "tiny/2"],
    ]


def test_a_dropped_space_is_gone_and_the_service_makes_it_anew(
    index_url: str, card: ModelCard, command: Command
) -> None:
    later = card.model_copy(update={"version": 2})
    vectors = directions(card, 5)

    def drop(*options: str) -> str:
        return ended_well(command(index_url, "drop", "1", *options))

    async def run() -> None:
        async with opened(index_url, card) as first:
            # The upkeep of both would make the spaces in either order.
            await first.put(items_of(vectors))
        async with opened(index_url, card) as index, opened(index_url, later) as kept:
            await kept.put(items_of(vectors))
            said = await asyncio.to_thread(drop, "--yes")
            assert said == "Removed space 1 (tiny/1, 5 items).\n"
            with pytest.raises(IndexUnavailableError, match="its space was dropped"):
                await index.search(Query(vectors[0], 1))
            assert await index.search(Query(vectors[0], 1)) == []
            await index.put([NewItem("new", vectors[1])])
            assert [hit.id for hit in await index.search(Query(vectors[0], 5))] == ["new"]
            assert len(await kept.search(Query(vectors[0], 10))) == 5
            assert [space.items for space in (await index.statistics()).spaces] == [5, 1]

    asyncio.run(run())


def test_a_space_is_not_dropped_without_a_yes(index_url: str, card: ModelCard, command: Command) -> None:
    async def fill() -> None:
        async with opened(index_url, card) as index:
            await index.put(items_of(directions(card, 2)))

    asyncio.run(fill())
    assert command(index_url, "drop", "tiny/1").exit_code == 1
    assert orjson.loads(ended_well(command(index_url, "stats", "--json")))["items"] == 2
