"""Items whose ids begin alike, listed and removed."""

import asyncio
import json
from pathlib import Path

import httpx
import pytest
from psycopg import sql

from service.index import queries
from service.index.space import find_or_create, identity_of
from tests.service.client import check_refusal, client
from tests.service.index_session import (
    directions,
    items_of,
    opened,
    opened_with_database,
    tiny_card,
)
from tests.tiny_model import EMBEDDING

ROUTE = "/v1/items"
IDS = ["a", "cats/1", "cats/10", "cats/2", "cats/ü", "cats_x", "cats", "%", "dogs/1", "Cats/1"]


async def stored(http: httpx.AsyncClient, ids: list[str] = IDS) -> None:
    vector = [1.0] + [0.0] * (EMBEDDING - 1)
    for item_id in ids:
        answer = await http.put(
            f"/v1/items/{item_id.replace('%', '%25')}", json={"vector": vector, "metadata": {"name": item_id}}
        )
        assert answer.status_code == 200


async def listed(http: httpx.AsyncClient, **query: str | int) -> list[str]:
    """All pages."""
    ids: list[str] = []
    while True:
        answer = (await http.get(ROUTE, params=query)).json()
        ids += [item["id"] for item in answer["items"]]
        if answer["next"] is None:
            return ids
        assert answer["next"] == ids[-1]
        query["after"] = answer["next"]


@pytest.mark.parametrize("limit", [1, 2, 3, 9, 10, 11])
def test_pages_together_are_all_items_in_the_order_of_their_bytes(
    limit: int, tiny_models: Path, index_url: str
) -> None:
    async def scenario() -> None:
        async with client(tiny_models, index_url) as http:
            await stored(http)
            assert await listed(http, limit=limit) == sorted(IDS, key=str.encode)
            cats = [one for one in sorted(IDS, key=str.encode) if one.startswith("cats/")]
            assert await listed(http, limit=limit, prefix="cats/") == cats

    asyncio.run(scenario())


def test_a_filter_lists_those_whose_metadata_pass_page_by_page(tiny_models: Path, index_url: str) -> None:
    async def scenario() -> None:
        async with client(tiny_models, index_url) as http:
            await stored(http)
            cats = json.dumps({"name": {"prefix": "cats"}, "not": {"name": "cats/2"}})
            found = ["cats", "cats/1", "cats/10", "cats/ü", "cats_x"]
            for limit in (1, 2, 5, 100):
                assert await listed(http, limit=limit, filter=cats) == found
            assert await listed(http, prefix="cats/", filter=cats) == found[1:4]
            refused = await http.get(ROUTE, params={"filter": '{"name": {"like": "c"}, "or": 1}'})
            check_refusal(refused, 422, "invalid_filter", "or")

    asyncio.run(scenario())


def test_an_item_is_listed_with_what_is_known_of_it_but_its_vector(tiny_models: Path, index_url: str) -> None:
    async def scenario() -> None:
        async with client(tiny_models, index_url) as http:
            await stored(http, ["a"])
            answer = (await http.get(ROUTE)).json()
            alone = (await http.get("/v1/items/a")).json()
            assert (answer["model"], answer["next"]) == (alone.pop("model"), None)
            del alone["vector"]
            assert answer["items"] == [alone]

    asyncio.run(scenario())


def test_what_begins_alike_is_removed_and_nothing_else(tiny_models: Path, index_url: str) -> None:
    async def scenario() -> None:
        async with client(tiny_models, index_url) as http:
            await stored(http)
            answer = await http.delete(ROUTE, params={"prefix": "cats/"})
            assert answer.json() == {"model": "tiny/1", "deleted": 4}
            left = [one for one in sorted(IDS, key=str.encode) if not one.startswith("cats/")]
            assert await listed(http) == left
            assert (await http.delete(ROUTE, params={"prefix": "%"})).json()["deleted"] == 1
            assert (await http.delete(ROUTE, params={"prefix": "nobody"})).json()["deleted"] == 0

    asyncio.run(scenario())


def test_to_remove_everything_is_never_a_slip(tiny_models: Path, index_url: str) -> None:
    async def scenario() -> None:
        async with client(tiny_models, index_url) as http:
            await stored(http, ["a"])
            for query in (None, {"prefix": ""}):
                refusal = await http.delete(ROUTE, params=query)
                check_refusal(refusal, 422, "invalid_parameter", "prefix is missing")
            assert await listed(http) == ["a"]

    asyncio.run(scenario())


@pytest.mark.parametrize(
    ("query", "says"),
    [
        ({"limit": 0}, "limit='0'"),
        ({"limit": 1001}, "limit='1001'"),
        ({"prefix": "a\0"}, "control character"),
        ({"after": "\n"}, "after='\\n'"),
        ({"perfix": "a"}, "no parameter 'perfix'"),
    ],
)
def test_what_cannot_be_meant_is_refused(
    query: dict[str, str], says: str, tiny_models: Path, index_url: str
) -> None:
    async def scenario() -> None:
        async with client(tiny_models, index_url) as http:
            check_refusal(await http.get(ROUTE, params=query), 422, "invalid_parameter", says)

    asyncio.run(scenario())


def test_a_model_lists_and_removes_its_own_items_only(tiny_models: Path, index_url: str) -> None:
    card = tiny_card(tiny_models)
    other = card.model_copy(update={"version": 2})

    async def scenario() -> None:
        for own in (card, other):
            async with opened(index_url, own) as index:
                await index.put(items_of(directions(own, 3)))
        async with opened(index_url, other) as index:
            assert await index.delete_all("00000") == 3
        async with opened(index_url, card) as index:
            assert [item.id for item in await index.list_items("", "", 10)] == ["000000", "000001", "000002"]

    asyncio.run(scenario())


def test_a_page_of_a_large_space_is_found_by_the_primary_key(tiny_models: Path, index_url: str) -> None:
    card = tiny_card(tiny_models)

    async def scenario() -> list[str]:
        async with opened_with_database(index_url, card) as (database, index):
            await index.put(items_of(directions(card, 5000)))
            async with database.connection() as connection:
                await connection.execute("ANALYZE infomax.items")
                space = await find_or_create(connection, identity_of(card, "fp32"))
                statement = sql.SQL("EXPLAIN ") + queries.LIST.format(
                    **space.names, condition=sql.SQL("true")
                )
                values = {"prefix": "0049", "after": "", "limit": 10}
                plan = await (await connection.execute(statement, values)).fetchall()
            return [line for (line,) in plan]

    plan = "\n".join(asyncio.run(scenario()))
    assert "_pkey" in plan, plan
    assert "Index Cond" in plan, plan
    assert "Seq Scan" not in plan, plan
