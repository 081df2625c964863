"""The tables, and how a database gets them: numbered steps that only go forward, one server at a time."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager

import psycopg
from psycopg.conninfo import conninfo_to_dict

from service.index.connection import CONNECT_SECONDS, TRANSPORT, BoundedSyncConnection
from service.index.errors import IndexStartError
from service.index.migrations import MIGRATIONS

logger = logging.getLogger(__name__)

# One lock for everything that changes tables; the digits have no meaning besides being ours.
SCHEMA_LOCK = 0x1F03A
_LEAST_POSTGRES = (14, 0)
# Iterative scans, without which a filtered search may come back short, appeared in 0.8.
_LEAST_PGVECTOR = (0, 8)
# A step may rewrite a table, and another server may be at it.
_MIGRATE_SECONDS = 3600.0


def migrate(url: str) -> None:
    """Bring the database at `url` to this version's tables; safe to call from several servers at once.

    Raises:
        IndexStartError: the server cannot be reached or is too old, pgvector is missing, the user may not
            create what is needed, or a newer Infomax has changed the tables.
    """
    with connected(url) as connection:
        _check_server(connection, url)
        connection.seconds = _MIGRATE_SECONDS
        connection.execute("SELECT set_config('statement_timeout', '0', true)")
        connection.execute("SELECT pg_advisory_xact_lock(%s)", [SCHEMA_LOCK])
        _require_pgvector(connection, url)
        try:
            _apply(connection, url)
        except psycopg.errors.InsufficientPrivilege as error:
            raise IndexStartError(
                f"The user of {_place(url)} may not create the index's tables ({_first_line(error)}); "
                "grant it CREATE on the database."
            ) from error
        except psycopg.errors.ReadOnlySqlTransaction as error:
            raise IndexStartError(
                f"{_place(url)} is a read-only replica without this version's tables. Start this version on "
                "its primary first."
            ) from error


@contextmanager
def connected(url: str) -> Iterator[BoundedSyncConnection]:
    """Connect to the index's database; commit at the end.

    Raises:
        IndexStartError: the URL is not one, or the server cannot be reached or does not answer.
    """
    try:
        with BoundedSyncConnection.connect(url, **TRANSPORT) as connection:
            # A server that accepts connections and answers none is told from a busy one here.
            connection.seconds = CONNECT_SECONDS
            yield connection
    except psycopg.ProgrammingError as error:
        if error.sqlstate is not None:
            raise
        # Nothing of the value itself: a part that cannot be told apart may be the password.
        raise IndexStartError(
            "INFOMAX_DATABASE_URL is not a PostgreSQL URL. Write postgresql://user:password@host:5432/database."
        ) from error
    except psycopg.OperationalError as error:
        raise IndexStartError(
            f"The index database at {_place(url)} cannot be reached ({_first_line(error)}); "
            "start it, or correct INFOMAX_DATABASE_URL."
        ) from error


def check(url: str) -> str:
    """Look at the database at `url` as `migrate` would, and change nothing; what it runs.

    Raises:
        IndexStartError: the server cannot be reached or is too old, or pgvector is not installed there.
    """
    with connected(url) as connection:
        _check_server(connection, url)
        row = connection.execute(
            "SELECT coalesce(installed_version, default_version) FROM pg_available_extensions "
            "WHERE name = 'vector'"
        ).fetchone()
        if row is None:
            raise _no_pgvector(url, "it is not among the extensions that are available")
        _check_pgvector(str(row[0]), url)
        server = connection.info.server_version
    return f"PostgreSQL {server // 10_000}.{server % 10_000} with pgvector {row[0]} at {_place(url)}"


def _check_server(connection: psycopg.Connection, url: str) -> None:
    version = divmod(connection.info.server_version, 10_000)
    if version < _LEAST_POSTGRES:
        raise IndexStartError(
            f"{_place(url)} runs PostgreSQL {version[0]}.{version[1]}; "
            f"the index needs {_LEAST_POSTGRES[0]} or newer."
        )


def _require_pgvector(connection: psycopg.Connection, url: str) -> None:
    try:
        if _pgvector_version(connection) is None:
            connection.execute("CREATE EXTENSION vector")
    except psycopg.errors.InsufficientPrivilege as error:
        raise IndexStartError(
            f"{_place(url)} has pgvector, but this user may not enable it; "
            "let an administrator run CREATE EXTENSION vector in that database."
        ) from error
    except (psycopg.errors.FeatureNotSupported, psycopg.errors.UndefinedFile) as error:
        raise _no_pgvector(url, _first_line(error)) from error
    _check_pgvector(_pgvector_version(connection), url)


def _no_pgvector(url: str, reason: str) -> IndexStartError:
    return IndexStartError(
        f"{_place(url)} has no pgvector ({reason}); install it there (package "
        "postgresql-<version>-pgvector, or the image pgvector/pgvector)."
    )


def _check_pgvector(version: str | None, url: str) -> None:
    if version is None or tuple(int(part) for part in version.split(".")[:2]) < _LEAST_PGVECTOR:
        least = ".".join(str(part) for part in _LEAST_PGVECTOR)
        raise IndexStartError(
            f"{_place(url)} has pgvector {version}; the index needs {least} or newer: "
            "install it and run ALTER EXTENSION vector UPDATE."
        )


def _pgvector_version(connection: psycopg.Connection) -> str | None:
    row = connection.execute("SELECT extversion FROM pg_extension WHERE extname = 'vector'").fetchone()
    return None if row is None else str(row[0])


def _apply(connection: psycopg.Connection, url: str) -> None:
    if _is_current(connection):
        # A read-only replica takes no statement that could make something.
        return
    connection.execute("CREATE SCHEMA IF NOT EXISTS infomax")
    connection.execute(
        "CREATE TABLE IF NOT EXISTS infomax.migrations "
        "(number integer PRIMARY KEY, applied timestamptz NOT NULL DEFAULT now())"
    )
    row = connection.execute("SELECT coalesce(max(number), 0) FROM infomax.migrations").fetchone()
    present = int(row[0]) if row else 0
    if present > len(MIGRATIONS):
        raise IndexStartError(
            f"A newer Infomax has changed the index at {_place(url)} (step {present}, this one knows "
            f"{len(MIGRATIONS)}); run that version, or use another database."
        )
    for number, statements in enumerate(MIGRATIONS[present:], start=present + 1):
        logger.info("updating the index's tables: step %d of %d", number, len(MIGRATIONS))
        connection.execute(statements)
        connection.execute("INSERT INTO infomax.migrations (number) VALUES (%s)", [number])


def _is_current(connection: psycopg.Connection) -> bool:
    if connection.execute("SELECT to_regclass('infomax.migrations')").fetchone() == (None,):
        return False
    row = connection.execute("SELECT max(number) FROM infomax.migrations").fetchone()
    return row == (len(MIGRATIONS),)


def _place(url: str) -> str:
    """Where a URL points, without its password."""
    parts = conninfo_to_dict(url)
    return f"{parts.get('host', 'localhost')}:{parts.get('port', 5432)}/{parts.get('dbname', '')}"


def _first_line(error: Exception) -> str:
    return str(error).strip().split("\n", 1)[0].rstrip(".")
