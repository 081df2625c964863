"""A database that takes no writes: reads go on, and the refusal and readiness say so."""

import asyncio
import shutil
from collections import namedtuple
from pathlib import Path

import psycopg
import pytest

from service.index.write_state import WriteState
from tests.pictures import photo
from tests.service.client import client

JPEG = {"content-type": "image/jpeg"}


def set_read_only(url: str, value: str) -> None:
    """Make every new connection read-only, or no longer, and end those that are there."""
    with psycopg.connect(url, autocommit=True) as connection:
        name = connection.info.dbname
        connection.execute("SET default_transaction_read_only = off")
        connection.execute(f"ALTER DATABASE {name} SET default_transaction_read_only = {value}")
        connection.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
            "WHERE datname = current_database() AND pid <> pg_backend_pid()"
        )


def test_a_read_only_database_is_searched_on_and_named_by_readiness(
    tiny_models: Path, index_url: str
) -> None:
    async def run() -> None:
        async with client(tiny_models, index_url) as http:
            assert (await http.put("/v1/items/a", content=photo(), headers=JPEG)).status_code == 200
            assert (await http.get("/readyz")).json() == {"status": "ready"}
            set_read_only(index_url, "on")
            refused = await http.put("/v1/items/b", content=photo(1), headers=JPEG)
            assert (refused.status_code, refused.json()["code"]) == (503, "index_unavailable")
            assert "takes no writes" in refused.json()["detail"]
            for method, path in (("DELETE", "/v1/items/a"), ("DELETE", "/v1/items?prefix=a")):
                assert (await http.request(method, path)).status_code == 503
            found = await http.post("/v1/neighbours", content=photo(), headers=JPEG)
            assert [hit["id"] for hit in found.json()["neighbours"]] == ["a"]
            ready = await http.get("/readyz")
            assert (ready.status_code, ready.json()["index"]) == (200, "read_only")
            assert "read-only transaction" in ready.json()["detail"]
            set_read_only(index_url, "off")
            assert (await http.put("/v1/items/b", content=photo(1), headers=JPEG)).status_code == 200
            assert (await http.get("/readyz")).json() == {"status": "ready"}

    asyncio.run(run())


def test_a_disk_without_room_is_known_before_a_write_fails(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    usage = namedtuple("usage", ["total", "used", "free"])
    state = WriteState(tmp_path)
    assert state.obstacle is None
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage(2**30, 2**30 - 1000, 1000))
    assert f"the disk of {tmp_path} has 0.0 MiB left" in str(state.obstacle)


def test_a_folder_that_cannot_be_looked_at_says_nothing(tmp_path: Path) -> None:
    assert WriteState(tmp_path / "absent").obstacle is None
    assert WriteState().obstacle is None
