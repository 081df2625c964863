"""What surrounds the embedded PostgreSQL: variables, folders, permissions and users that get in its way."""

import asyncio
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
from psycopg.pq import Conninfo

from contract.card import ModelCard
from service.index import account
from service.index.cluster import last_line
from service.index.embedded import EmbeddedPostgres
from service.index.errors import IndexStartError
from service.index.schema import migrate
from service.index.search import Query
from tests.service.index_session import directions, items_of, opened, tiny_card


@pytest.fixture
def card(tiny_models: Path) -> ModelCard:
    return tiny_card(tiny_models)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data folder whose cluster is made; each test starts it."""
    folder = tmp_path_factory.mktemp("surrounded")
    with EmbeddedPostgres(folder) as server:
        migrate(server.url)
    return folder


def stores(server: EmbeddedPostgres, card: ModelCard) -> bool:
    """Whether the index can be prepared, written and searched by the URL alone."""
    migrate(server.url)
    vectors = directions(card, 2)

    async def run() -> str:
        async with opened(server.url, card) as index:
            await index.put(items_of(vectors))
            return (await index.search(Query(vectors[1], 1)))[0].id

    return asyncio.run(run()) == "000001"


@pytest.fixture
def misleading_variables(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """Every variable of libpq, with a value that leads nowhere."""
    values = {"PGPORT": "1", "PGHOSTADDR": "192.0.2.1", "PGOPTIONS": "-c nonsense=1", "PGSERVICE": "absent"}
    others = ("PGSERVICEFILE", "PGSYSCONFDIR", "PGDATESTYLE", "PGTZ", "PGDATA")
    names = [option.envvar.decode() for option in Conninfo.get_defaults() if option.envvar]
    for name in (*names, *others):
        monkeypatch.setenv(name, values.get(name, str(tmp_path / "nothing")))
    yield names
    for name in (*names, *others):
        monkeypatch.delenv(name, raising=False)


def test_libpqs_variables_lead_no_client_away(
    folder: Path, card: ModelCard, misleading_variables: list[str]
) -> None:
    with EmbeddedPostgres(folder) as server:
        assert stores(server, card)
    # Processes that are started from here on do not see them either.
    assert not [name for name in misleading_variables if name in os.environ]


@pytest.mark.parametrize(
    "name", ["with space", "per%cent%20", "a&b=c", "a,b", "x" * 110, 'it\'s "quoted"', "ä"]
)
def test_any_folder_for_temporary_files_will_do(
    name: str, folder: Path, card: ModelCard, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    temporary = tmp_path / name
    temporary.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(temporary))
    with EmbeddedPostgres(folder) as server:
        assert stores(server, card)
    assert list(temporary.iterdir()) == []


def test_any_data_folder_will_do(card: ModelCard, tmp_path: Path) -> None:
    with EmbeddedPostgres(tmp_path / "a, b & 100% 'c' \"d\" ä" / ("x" * 110)) as server:
        assert stores(server, card)


def test_a_data_folder_that_a_volume_opened_to_a_group_is_closed_again(
    folder: Path, card: ModelCard, caplog: pytest.LogCaptureFixture
) -> None:
    for place in (folder / "postgres", *(folder / "postgres").rglob("*")):
        place.chmod(place.stat().st_mode | (0o2070 if place.is_dir() else 0o060))
    with EmbeddedPostgres(folder) as server:
        assert stores(server, card)
    assert "chmod 700" in caplog.text


root = pytest.mark.skipif(os.geteuid() != 0, reason="only root has rights to give up")

START = """
import sys
from pathlib import Path
from service.index.embedded import EmbeddedPostgres
from service.index.errors import IndexStartError
try:
    EmbeddedPostgres(Path(sys.argv[1])).start()
except IndexStartError as error:
    print(error)
"""


def said_by(prefix: list[str], folder: Path) -> str:
    """What a start says under another command."""
    if shutil.which(prefix[0]) is None or subprocess.run([*prefix, "true"], check=False).returncode != 0:
        pytest.skip(f"{prefix[0]} may not be used here")
    command = [*prefix, sys.executable, "-c", START, str(folder)]
    return subprocess.run(command, check=False, capture_output=True, text=True, timeout=60).stdout


@root
def test_a_user_namespace_with_one_id_is_named_with_the_remedy(tmp_path: Path) -> None:
    said = said_by(["unshare", "--user", "--map-root-user"], tmp_path / "data")
    assert "this user namespace has no other user" in said
    assert "INFOMAX_DATABASE_URL" in said


@root
def test_a_root_without_rights_is_told_to_start_as_another_user(tmp_path: Path) -> None:
    said = said_by(["setpriv", "--bounding-set=-all", "--inh-caps=-all"], tmp_path / "data")
    assert "may not act as user" in said
    assert "--user" in said


def test_of_several_ids_of_a_namespace_one_that_is_there_is_taken(tmp_path: Path) -> None:
    (tmp_path / "map").write_text("         0     100000       1000\n")
    assert account._mapped(999, tmp_path / "map") == 999
    assert account._mapped(65534, tmp_path / "map") == 999


@root
def test_a_folder_of_another_user_is_told_apart_from_a_broken_one(tmp_path: Path) -> None:
    with EmbeddedPostgres(tmp_path / "data"):
        pass
    said = said_by(["setpriv", "--reuid=12345", "--clear-groups"], tmp_path / "data")
    assert "may not be used by user 12345" in said


@pytest.mark.parametrize(
    ("output", "says"),
    [
        (b"LOG:  a\nFATAL:  no room\nHINT:  buy a disk\n", "FATAL:  no room"),
        (b"creating\ninitdb: error: no room\n\n", "initdb: error: no room"),
        (b"a\nb\n", "b"),
        (b"", "it said nothing"),
    ],
)
def test_of_a_programs_words_the_failure_is_shown(output: bytes, says: str) -> None:
    assert last_line(output) == says


def test_a_server_that_cannot_start_says_why(folder: Path) -> None:
    settings = folder / "postgres" / "postgresql.auto.conf"
    before = settings.read_text()
    settings.write_text("shared_buffers = 'nonsense'\n")
    try:
        with pytest.raises(IndexStartError, match=r"did not start: .*(shared_buffers|configuration)"):
            EmbeddedPostgres(folder).start()
    finally:
        settings.write_text(before)
    with EmbeddedPostgres(folder) as server, psycopg.connect(server.url) as connection:
        assert connection.execute("SELECT 1").fetchone() == (1,)
