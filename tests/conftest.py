"""What several test packages share."""

import gc
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import hypothesis
import psycopg
import pytest

from service.index import server
from service.index.embedded import EmbeddedPostgres
from service.index.schema import migrate
from tests.tiny_model import build_tiny_model

# The same examples on every machine, however slow it is.
hypothesis.settings.register_profile("infomax", deadline=None, derandomize=True)
hypothesis.settings.load_profile("infomax")

_BUFFER_BYTES = 64 * 2**20


def pytest_configure() -> None:
    """Collect no garbage while modules are imported: nearly all of them stays."""
    gc.disable()


def pytest_collection_finish() -> None:
    """Exempt what was imported from all later collections."""
    gc.freeze()
    gc.enable()


@pytest.fixture(scope="session")
def tiny_models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A models folder that holds `tiny/1`; read-only for tests."""
    models = tmp_path_factory.mktemp("models")
    build_tiny_model(models)
    return models


@pytest.fixture(scope="session")
def postgres(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedPostgres]:
    """A running PostgreSQL with pgvector, the same that `infomax serve` embeds."""
    embedded = EmbeddedPostgres(tmp_path_factory.mktemp("index"))
    with pytest.MonkeyPatch.context() as patch:
        # What it holds ends with the session: nothing has to reach the disk, and little of the log is kept.
        options = {"fsync": "off", "full_page_writes": "off", "max_wal_size": "128MB"}
        # All of them are searched when a database is made or dropped, as nearly every test does.
        patch.setattr(server, "_buffer_bytes", lambda: _BUFFER_BYTES)
        for name, value in options.items():
            patch.setitem(server._OPTIONS, name, value)
        embedded.start()
    yield embedded
    embedded.stop()


@pytest.fixture(scope="session")
def prepared_database(postgres: EmbeddedPostgres) -> str:
    """Name of a database that is ready to hold an index, which others are copied from."""
    name = "prepared"
    with psycopg.connect(postgres.url, autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name}")
    migrate(_url_of(postgres, name))
    return name


@contextmanager
def _database(postgres: EmbeddedPostgres, user: str, template: str = "template1") -> Iterator[str]:
    """Make a database for the tests or the test that `user` names; its URL."""
    name = f"test_{abs(hash(user))}"
    with psycopg.connect(postgres.url, autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name} TEMPLATE {template} STRATEGY = FILE_COPY")
        yield _url_of(postgres, name)
        connection.execute(f"DROP DATABASE {name} WITH (FORCE)")


def _url_of(postgres: EmbeddedPostgres, database: str) -> str:
    return postgres.url.replace("/postgres?", f"/{database}?")


@pytest.fixture
def empty_database(postgres: EmbeddedPostgres, request: pytest.FixtureRequest) -> Iterator[str]:
    """URL of a database of this test alone, with nothing in it."""
    with _database(postgres, request.node.nodeid) as url:
        yield url


@pytest.fixture
def index_url(
    postgres: EmbeddedPostgres, prepared_database: str, request: pytest.FixtureRequest
) -> Iterator[str]:
    """URL of a database of this test alone that is ready to hold an index."""
    with _database(postgres, request.node.nodeid, prepared_database) as url:
        yield url


@pytest.fixture(scope="module")
def module_index(
    postgres: EmbeddedPostgres, prepared_database: str, request: pytest.FixtureRequest
) -> Iterator[str]:
    """URL of a database that the tests of a module share, ready to hold an index."""
    with _database(postgres, request.node.nodeid, prepared_database) as url:
        yield url


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder with the full data sets; tests that need it also carry the marker `shared_data`."""
    folder = os.environ.get("INFOMAX_TEST_DATA")
    if folder is None:
        pytest.skip("INFOMAX_TEST_DATA names no folder with the full data sets")
    return Path(folder)
