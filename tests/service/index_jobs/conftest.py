"""What the tests of jobs share: a second database, and the command against a database."""

from collections.abc import Callable, Iterator
from pathlib import Path

import psycopg
import pytest
from typer.testing import CliRunner, Result

from contract.card import ModelCard
from service.cli.index import index
from service.index.embedded import EmbeddedPostgres
from tests.service.index_session import tiny_card

Command = Callable[..., Result]


@pytest.fixture
def card(tiny_models: Path) -> ModelCard:
    return tiny_card(tiny_models)


@pytest.fixture(scope="module")
def another_machine(postgres: EmbeddedPostgres) -> Iterator[str]:
    """URL of a second database; to make one takes seconds."""
    with psycopg.connect(postgres.url, autocommit=True) as connection:
        connection.execute("CREATE DATABASE another_machine")
        yield postgres.url.replace("/postgres?", "/another_machine?")
        connection.execute("DROP DATABASE another_machine WITH (FORCE)")


@pytest.fixture
def other_url(another_machine: str) -> Iterator[str]:
    """URL of a second database, without an index: another machine's."""
    yield another_machine
    with psycopg.connect(another_machine, autocommit=True) as connection:
        connection.execute("DROP SCHEMA IF EXISTS infomax CASCADE")


@pytest.fixture
def command(monkeypatch: pytest.MonkeyPatch) -> Command:
    """Runs `infomax index ARGUMENTS` on the database at a URL."""

    def run(url: str, *arguments: object) -> Result:
        monkeypatch.setenv("INFOMAX_DATABASE_URL", url)
        return CliRunner().invoke(index, [str(one) for one in arguments])

    return run


def ended_well(result: Result) -> str:
    """The command has succeeded; what it printed on standard output."""
    assert result.exit_code == 0, (result.output, result.exception)
    return str(result.stdout)


def refused(result: Result) -> str:
    """The command has failed by an expected error; its sentence."""
    assert result.exit_code == 1
    return str(result.exception)
