"""libpq's environment variables, which the embedded server's clients must not read."""

import logging
import os

from psycopg.pq import Conninfo

logger = logging.getLogger(__name__)

# Read by libpq or the server beside those that name a connection's parameters.
_OTHERS = ("PGSERVICEFILE", "PGSYSCONFDIR", "PGLOCALEDIR", "PGDATESTYLE", "PGTZ", "PGGEQO")


def forget_variables() -> None:
    """Remove from this process's environment what would lead its clients to another server.

    `PGPORT`, `PGHOSTADDR` or `PGSERVICE` of a shell win over what a URL leaves out, and some, like
    `PGSERVICE`, cannot be overruled by any URL.
    """
    named = [option.envvar.decode() for option in Conninfo.get_defaults() if option.envvar]
    found = [name for name in (*named, *_OTHERS) if os.environ.pop(name, None) is not None]
    if found:
        logger.info("%s: no effect on the embedded index", ", ".join(sorted(found)))
