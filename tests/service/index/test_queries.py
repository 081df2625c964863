"""Plans of the statements by id: each finds its rows by the whole key, whatever the size of the space.

PostgreSQL 18 can skip a key's first column where it has few values, older versions read the whole index then.
"""

import asyncio
from collections.abc import Sequence
from pathlib import Path

import pytest
from psycopg import sql

from service.index import queries
from service.index.space import find_or_create, identity_of
from tests.service.index_session import directions, items_of, opened_with_database, tiny_card

IDS = ["000012", "004400"]
STATEMENTS: dict[str, tuple[sql.SQL, Sequence[object] | dict[str, object]]] = {
    "get": (queries.GET, IDS[:1]),
    "vectors": (queries.VECTORS, [IDS]),
    "pictures": (queries.PICTURES, [IDS]),
    "delete": (queries.DELETE, IDS[:1]),
    "delete many": (queries.DELETE_MANY, [IDS]),
    "lock": (queries.LOCK, [IDS]),
    "list from the beginning": (queries.LIST, {"prefix": "", "after": "", "limit": 10}),
    "list from the middle": (queries.LIST, {"prefix": "00", "after": "002500", "limit": 10}),
}


@pytest.fixture
def plans(tiny_models: Path, index_url: str) -> dict[str, str]:
    """The plan of each statement in a space of 5,000 items, by its name."""
    card = tiny_card(tiny_models)

    async def explain() -> dict[str, str]:
        async with opened_with_database(index_url, card) as (database, index):
            await index.put(items_of(directions(card, 5000)))
            async with database.connection() as connection:
                await connection.execute("ANALYZE infomax.items")
                space = await find_or_create(connection, identity_of(card, "fp32"))
                found = {}
                for name, (statement, values) in STATEMENTS.items():
                    filled = statement.format(**space.names, condition=sql.SQL("true"))
                    explained = sql.SQL("EXPLAIN ") + filled
                    rows = await (await connection.execute(explained, values)).fetchall()
                    found[name] = "\n".join(line for (line,) in rows)
                return found

    return asyncio.run(explain())


def test_rows_are_found_by_the_whole_key_and_pages_are_not_sorted(plans: dict[str, str]) -> None:
    for name, plan in plans.items():
        conditions = [line for line in plan.splitlines() if "Index Cond" in line]
        assert conditions, (name, plan)
        assert all("space = 1" in line for line in conditions), (name, plan)
        assert "Seq Scan" not in plan, (name, plan)
        if name.startswith("list"):
            assert "Sort" not in plan, (name, plan)
