"""Preparing a database: twice, from several sides, and with one sentence where it cannot be done."""

from concurrent.futures import ThreadPoolExecutor

import psycopg
import pytest

from service.index.errors import IndexStartError
from service.index.migrations import MIGRATIONS
from service.index.schema import migrate


def test_preparing_again_or_at_the_same_time_changes_nothing(empty_database: str) -> None:
    with ThreadPoolExecutor(4) as servers:
        list(servers.map(migrate, [empty_database] * 4))
    migrate(empty_database)
    with psycopg.connect(empty_database) as connection:
        rows = connection.execute("SELECT number FROM infomax.migrations ORDER BY number").fetchall()
    assert [number for (number,) in rows] == list(range(1, len(MIGRATIONS) + 1))


def test_tables_of_a_newer_version_are_left_alone(index_url: str) -> None:
    with psycopg.connect(index_url) as connection:
        connection.execute("INSERT INTO infomax.migrations (number) VALUES (999)")
    with pytest.raises(IndexStartError, match=r"newer Infomax has changed the index .*step 999"):
        migrate(index_url)


@pytest.mark.parametrize(
    ("url", "says"),
    [
        (
            "postgresql://me:secret@127.0.0.1:1/index",
            r"127\.0\.0\.1:1/index cannot be reached .*refused.*INFOMAX_DATABASE_URL",
        ),
        ("mysql://me:secret@localhost/index", "INFOMAX_DATABASE_URL is not a PostgreSQL URL"),
    ],
)
def test_a_server_that_is_not_there_is_named_without_its_password(url: str, says: str) -> None:
    with pytest.raises(IndexStartError, match=says) as refusal:
        migrate(url)
    assert "secret" not in str(refusal.value)
    assert "\n" not in str(refusal.value)


def test_a_server_without_pgvector_is_refused(empty_database: str) -> None:
    # PostgreSQL 18 looks for extensions where this says; nothing is there.
    with pytest.raises(IndexStartError, match=r"has no pgvector .*install it"):
        migrate(empty_database + "&options=-c%20extension_control_path%3D/nonexistent")


@pytest.fixture
def plain_user(empty_database: str) -> str:
    """URL of a user who may log in and nothing else."""
    with psycopg.connect(empty_database, autocommit=True) as connection:
        connection.execute("DROP ROLE IF EXISTS plain")
        connection.execute("CREATE ROLE plain LOGIN")
    return empty_database.replace("postgres@", "plain@")


def test_a_user_without_rights_is_told_which_are_missing(empty_database: str, plain_user: str) -> None:
    with pytest.raises(IndexStartError, match="CREATE EXTENSION vector"):
        migrate(plain_user)
    with psycopg.connect(empty_database, autocommit=True) as connection:
        connection.execute("CREATE EXTENSION vector")
    with pytest.raises(IndexStartError, match=r"may not create .*grant it CREATE"):
        migrate(plain_user)


def test_a_user_who_may_create_needs_no_other_rights(empty_database: str, plain_user: str) -> None:
    with psycopg.connect(empty_database, autocommit=True) as connection:
        connection.execute("CREATE EXTENSION vector")
        connection.execute(f"GRANT CREATE ON DATABASE {connection.info.dbname} TO plain")
    migrate(plain_user)
