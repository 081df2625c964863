"""GET /v1/index/plane: the sample, its plane, and an embedding beside it."""

import asyncio
from pathlib import Path

import numpy as np

from tests.pictures import photo
from tests.service.client import check_refusal, client

ROUTE = "/v1/index/plane"


def test_items_lie_where_their_vectors_do(tiny_models: Path, index_url: str) -> None:
    async def scenario() -> None:
        async with client(tiny_models, index_url) as http:
            empty = (await http.get(ROUTE)).json()
            assert (empty["items"], empty["points"], empty["mean"]) == (0, [], [])
            for seed in range(12):
                await http.put(
                    f"/v1/items/{seed}", content=photo(seed), params={"metadata": f'{{"n": {seed}}}'}
                )
            answer = (await http.get(ROUTE)).json()
            assert (answer["model"], answer["items"], answer["sampled"]) == ("tiny/1", 12, 12)
            assert {point["id"]: point["metadata"] for point in answer["points"]} == {
                str(seed): {"n": seed} for seed in range(12)
            }
            await http.put("/v1/items/vector", json={"vector": [1.0] * 20})
            more = (await http.get(ROUTE)).json()["points"]
            assert {point["id"]: point["thumbnail"] for point in more} == {
                **{str(seed): True for seed in range(12)},
                "vector": False,
            }
            for point in answer["points"]:
                vector = np.array((await http.get(f"/v1/items/{point['id']}")).json()["vector"])
                place = np.array(answer["axes"]) @ (vector - answer["mean"])
                np.testing.assert_allclose([point["x"], point["y"]], place, atol=1e-5)
            assert 1 >= answer["shares"][0] >= answer["shares"][1] > 0

    asyncio.run(scenario())


def test_a_smaller_sample_is_drawn_and_is_always_the_same(tiny_models: Path, index_url: str) -> None:
    async def scenario() -> None:
        async with client(tiny_models, index_url) as http:
            lines = b"".join(
                b'{"id": "%d", "vector": [%s]}\n'
                % (number, b",".join(b"%d" % (number % (7 + axis)) for axis in range(20)))
                for number in range(1, 500)
            )
            headers = {"content-type": "application/x-ndjson"}
            assert (await http.post("/v1/items", content=lines, headers=headers)).status_code == 200
            first, again = [(await http.get(ROUTE, params={"limit": 40})).json() for _ in range(2)]
            assert first == again
            assert first["items"] == 499
            assert 20 <= first["sampled"] == len(first["points"]) <= 40
            for limit in (0, 1001):
                refused = await http.get(ROUTE, params={"limit": limit})
                check_refusal(refused, 422, "invalid_parameter", f"limit='{limit}'")

    asyncio.run(scenario())
