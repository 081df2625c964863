"""Recall of the live graph: searches of clients, now and then compared with exact ones.

A sample reads all rows, so its rate follows its cost: at most one part in a thousand of a core.
"""

import logging
from dataclasses import replace
from time import monotonic

import psycopg
from psycopg import AsyncConnection

from service.index.search import SearchMemory, find
from service.index.search_plan import Recall
from service.index.space import Space
from service.metrics import INDEX_RECALL_FOUND, INDEX_RECALL_TRUE

logger = logging.getLogger(__name__)

_LEAST_PAUSE_SECONDS = 60.0
_PAUSE_FACTOR = 1000.0
# After one that the database's time limit has ended.
_FAILED_PAUSE_SECONDS = 6 * 3600.0
# Equal scores may come in another order.
_TOLERANCE = 1e-6


class RecallSample:
    """Comparison of the latest search that the graph has answered, at most one at a time."""

    def __init__(self, memory: SearchMemory, name: str) -> None:
        """`name` is what the metrics call the model."""
        self._memory = memory
        self._true = INDEX_RECALL_TRUE.labels(name)
        self._found = INDEX_RECALL_FOUND.labels(name)
        self._not_before = 0.0

    @property
    def due(self) -> bool:
        """Whether there is a search to compare, and the last comparison was long enough ago."""
        return self._memory.walked is not None and monotonic() >= self._not_before

    async def take(self, connection: AsyncConnection, space: Space) -> None:
        """Search as the client did, and exactly, on the same rows; count what was found.

        Raises:
            psycopg.Error: the database went away, or ended the comparison.
        """
        query, self._memory.walked = self._memory.walked, None
        if query is None:
            return
        query = replace(query, min_score=None, with_codes=False)
        self._not_before = monotonic() + _FAILED_PAUSE_SECONDS
        try:
            async with connection.transaction():
                await connection.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")
                hits = await find(connection, space, query, SearchMemory())
                started = monotonic()
                true = await find(connection, space, replace(query, recall=Recall.EXACT), SearchMemory())
        except psycopg.errors.QueryCanceled:
            logger.info("a search cannot be compared with an exact one within the time limit")
            return
        self._not_before = monotonic() + pause(monotonic() - started)
        if true:
            self._true.inc(len(true))
            self._found.inc(sum(hit.score >= true[-1].score - _TOLERANCE for hit in hits))


def pause(seconds: float) -> float:
    """Return the seconds until the next comparison, where one took so many."""
    return max(_LEAST_PAUSE_SECONDS, _PAUSE_FACTOR * seconds)
