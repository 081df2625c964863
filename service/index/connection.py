"""Connections whose every wait for the server has an end on the client's side.

PostgreSQL's own `statement_timeout` and TCP's time limits need a server that runs. A frozen one (SIGSTOP, a
hung disk, a suspended machine) keeps its sockets open and answers nothing.
"""

import asyncio
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from time import monotonic
from typing import Any, TypeVar

import psycopg
from psycopg import AsyncConnection, Connection, waiting
from psycopg.abc import PQGen
from psycopg.errors import QueryCanceled, _WaitTimeout
from psycopg.pq import TransactionStatus
from psycopg.rows import TupleRow

logger = logging.getLogger(__name__)

T = TypeVar("T")

CONNECT_SECONDS = 5
# For what is sent outside a budget: a check, the settings of a new connection, the end of a transaction.
_STEP_SECONDS = 5.0
# A cancelled request returns to its client after at most twice this.
_CANCEL_SECONDS = 0.2
_INTERVAL_SECONDS = 0.1
_LONGEST_SECONDS = 30 * 86_400.0
# Over TCP a vanished host is found by the kernel, also while nothing is sent.
TRANSPORT: dict[str, Any] = {
    "application_name": "infomax",
    "connect_timeout": CONNECT_SECONDS,
    "keepalives_idle": 30,
    "keepalives_interval": 10,
    "keepalives_count": 3,
    "tcp_user_timeout": 15_000,
}


class BoundedConnection(AsyncConnection[TupleRow]):
    """A connection that is closed when the server does not answer in time.

    `wait` is where psycopg waits for every statement, commit, rollback and piece of a COPY.
    """

    _budget_ends: float | None = None
    _budget = _STEP_SECONDS

    @contextmanager
    def budget(self, seconds: float) -> Iterator[None]:
        """Give all that is done in here `seconds` together; outside, each step has a few."""
        self._budget, self._budget_ends = seconds, monotonic() + seconds
        try:
            yield
        finally:
            self._budget, self._budget_ends = _STEP_SECONDS, None

    async def wait(
        self,
        gen: PQGen[T],
        interval: float = _INTERVAL_SECONDS,
        timeout: float | None = None,  # noqa: ASYNC109 (psycopg's own signature)
    ) -> T:
        """Run one exchange with the server.

        Raises:
            psycopg.OperationalError: no answer in time; the connection is closed then.
        """
        remaining = _STEP_SECONDS if self._budget_ends is None else self._budget_ends - monotonic()
        remaining = min(max(remaining, 0.0), _LONGEST_SECONDS)
        if timeout is not None and timeout < remaining:
            # The caller has a limit of its own and knows what follows from it.
            return await super().wait(gen, interval, timeout)
        try:
            return await waiting.wait_async(gen, self.pgconn.socket, interval, remaining)
        except _WaitTimeout as error:
            self.pgconn.finish()
            raise psycopg.OperationalError(f"no answer within {self._budget:g} seconds") from error
        except (asyncio.CancelledError, KeyboardInterrupt):
            if self.pgconn.transaction_status == TransactionStatus.ACTIVE:
                await self._end_statement(gen, interval)
            raise

    async def _end_statement(self, gen: PQGen[T], interval: float) -> None:
        """Cancel the running statement on the server, or close the connection where that takes too long."""
        try:
            await self.cancel_safe(timeout=_CANCEL_SECONDS)
            await waiting.wait_async(gen, self.pgconn.socket, interval, _CANCEL_SECONDS)
        except QueryCanceled:
            pass
        except BaseException as error:
            self.pgconn.finish()
            if not isinstance(error, psycopg.Error):
                raise
            logger.warning("a statement outlasts its cancellation; its connection is closed")


class BoundedSyncConnection(Connection[TupleRow]):
    """The same for code that blocks; `seconds` bounds each step."""

    seconds = float(CONNECT_SECONDS)

    def wait(self, gen: PQGen[T], interval: float = _INTERVAL_SECONDS, timeout: float | None = None) -> T:
        """Run one exchange with the server.

        Raises:
            psycopg.OperationalError: no answer in time; the connection is closed then.
        """
        try:
            return super().wait(gen, interval, self.seconds if timeout is None else timeout)
        except _WaitTimeout as error:
            self.pgconn.finish()
            raise psycopg.OperationalError(f"no answer within {self.seconds:g} seconds") from error
