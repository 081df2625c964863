"""Access of a command to the index, whether or not a service runs on it."""

import math
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager

import orjson
import psycopg
from pgvector.psycopg import register_vector_async
from psycopg.types.json import set_json_dumps, set_json_loads

from contract.errors import InfomaxError
from service.index.connection import TRANSPORT, BoundedConnection
from service.index.embedded import EmbeddedPostgres
from service.index.errors import IndexInUseError
from service.index.pooler import behind_pooler
from service.index.running_server import running_url
from service.index.schema import migrate
from service.settings import Settings


class IndexJobError(InfomaxError):
    """A job cannot be done, or not to its end."""


@contextmanager
def index_url(settings: Settings) -> Iterator[str]:
    """Give the URL of the index's database, with its tables brought to this version.

    The embedded server is started over its data folder, or joined where a service runs it.

    Raises:
        IndexStartError: it cannot be started, reached or prepared.
    """
    if settings.database_url is not None:
        url = settings.database_url.get_secret_value()
        migrate(url)
        yield url
        return
    server = EmbeddedPostgres(settings.data_dir)
    try:
        own_url = server.start()
    except IndexInUseError:
        url = running_url(settings.data_dir) or ""
        if not url:
            raise
        migrate(url)
        yield url
        return
    try:
        migrate(own_url)
        yield own_url
    finally:
        server.stop()


@asynccontextmanager
async def connected(url: str) -> AsyncIterator[BoundedConnection]:
    """Connect for statements of any length; what the database refuses is raised as a sentence.

    Raises:
        IndexJobError: it refuses, or went away.
    """
    try:
        async with await BoundedConnection.connect(
            url, autocommit=True, prepare_threshold=None, **TRANSPORT
        ) as connection:
            await register_vector_async(connection)
            set_json_dumps(orjson.dumps, connection)
            set_json_loads(orjson.loads, connection)
            if not await behind_pooler(connection):
                await connection.execute("SELECT set_config('statement_timeout', '0', false)")
            with connection.budget(math.inf):
                yield connection
    except psycopg.Error as error:
        reason = str(error).strip().split("\n", 1)[0].rstrip(".")
        raise IndexJobError(f"The index does not do it: {reason}. Run the command again later.") from error
