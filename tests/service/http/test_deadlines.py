"""Clients that say how long they wait: who is refused at once, who is given up, what that costs others."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import httpx
import psycopg
import pytest
from prometheus_client import REGISTRY

from service.errors import ServiceError
from service.inference.admission import Admission
from service.inference.deadline import Deadline
from service.inference.resources import Resources
from service.inference.results import Priority
from service.inference.wait_estimate import WaitEstimate
from tests.pictures import photo, plain
from tests.service.client import client
from tests.service.faults import FragileModel

HEADER = "X-Request-Timeout-Ms"
PNG = {"content-type": "image/png"}
LONGEST = {HEADER: "600000"}
PATIENCE = 30
WHOLE = (
    ("POST", "/v1/embeddings"),
    ("POST", "/v1/mi-maps"),
    ("POST", "/v1/neighbours"),
    ("PUT", "/v1/items/x"),
)


def cancelled(stage: str, reason: str) -> float:
    labels = {"stage": stage, "reason": reason}
    return REGISTRY.get_sample_value("infomax_cancelled_items_total", labels) or 0.0


def held() -> float | None:
    return REGISTRY.get_sample_value("infomax_queue_depth_items")


def door(rate: float = 100.0) -> Admission:
    return Admission(Resources(1000, 2**30), WaitEstimate(4, rate), 60.0)


@asynccontextmanager
async def holding(admission: Admission, items: int) -> AsyncIterator[Admission]:
    async with admission.admit(Resources(items, 0), Priority.INTERACTIVE):
        yield admission


async def refusal(admission: Admission, seconds: float) -> ServiceError:
    with pytest.raises(ServiceError) as caught:
        async with admission.admit(Resources(1, 0), Priority.INTERACTIVE, Deadline(seconds)):
            pass
    return caught.value


@asynccontextmanager
async def held_up(
    models: Path, index_url: str, images: int
) -> AsyncIterator[tuple[httpx.AsyncClient, FragileModel]]:
    """An application whose model is stuck in its first batch, with so many images in its queue."""
    model = FragileModel(models)
    async with client(models, index_url, model) as http:
        # The first is in the batch alone, the others wait.
        model.gate.clear()
        first = asyncio.create_task(http.post("/v1/embeddings", content=plain(1), headers=PNG))
        assert await asyncio.to_thread(model.entered.wait, PATIENCE)
        files = [("image", ("a.png", plain(2)))] * (images - 1)
        others = asyncio.create_task(http.post("/v1/embeddings", files=files))
        async with asyncio.timeout(PATIENCE):
            while held() != images:  # noqa: ASYNC110 (asked again and again, as a scrape does)
                await asyncio.sleep(0.001)
        try:
            yield http, model
        finally:
            model.gate.set()
            assert {(await first).status_code, (await others).status_code} == {200}


def test_a_deadline_that_the_queue_does_not_allow_is_refused_before_anything_is_done() -> None:
    async def scenario() -> None:
        async with holding(door(rate=100.0), 500) as admission:
            # 500 images at 100 a second.
            error = await refusal(admission, seconds=4.0)
            assert (error.status, error.code) == (503, "deadline_unreachable")
            assert admission.held.items == 500
            async with admission.admit(Resources(1, 0), Priority.INTERACTIVE, Deadline(6.0)):
                assert admission.held.items == 501

    asyncio.run(scenario())


def test_the_refused_are_told_when_the_same_deadline_can_be_kept() -> None:
    async def scenario() -> None:
        async with holding(door(rate=100.0), 500) as admission:
            # From 400 images on the queue takes no longer than the client waits.
            error = await refusal(admission, seconds=4.0)
            assert error.retry_after == pytest.approx(1.0, abs=0.05)

    asyncio.run(scenario())


def test_what_a_batch_takes_counts_beside_the_queue() -> None:
    async def scenario() -> None:
        async with holding(door(rate=100.0), 100) as admission:
            async with admission.admit(Resources(1, 0), Priority.INTERACTIVE, Deadline(2.0)):
                pass
            admission.finished(1, batch_seconds=1.5)
            error = await refusal(admission, seconds=2.0)
            assert error.code == "deadline_unreachable"

    asyncio.run(scenario())


def test_a_retry_is_promised_no_later_than_the_queue_is_empty() -> None:
    async def scenario() -> None:
        admission = door(rate=100.0)
        admission.finished(1, batch_seconds=60.0)
        async with holding(admission, 50):
            # Less than a batch took so far: only an idle service can show whether it is enough.
            error = await refusal(admission, seconds=1.0)
            assert error.retry_after == pytest.approx(0.5)

    asyncio.run(scenario())


def test_an_idle_service_always_tries() -> None:
    async def scenario() -> None:
        admission = door()
        admission.finished(1, batch_seconds=60.0)
        async with admission.admit(Resources(1, 0), Priority.INTERACTIVE, Deadline(0.001)):
            assert admission.held.items == 1

    asyncio.run(scenario())


def test_an_answer_that_is_late_is_given_up_and_its_images_leave_the_queue(
    tiny_models: Path, index_url: str
) -> None:
    async def scenario() -> None:
        async with client(tiny_models, index_url, model := FragileModel(tiny_models)) as http:
            for method, route in WHOLE:
                before = cancelled("inference", "deadline_exceeded")
                model.gate.clear()
                # An idle service tries; the batch of the first hangs, the second waits behind it.
                for value in (1, 2):
                    headers = {**PNG, HEADER: "200"}
                    late = await http.request(method, route, content=plain(value), headers=headers)
                    assert (late.status_code, late.json()["code"]) == (504, "deadline_exceeded")
                    assert "200 ms" in late.json()["detail"]
                    assert held() == 0
                model.gate.set()
                model.seen.clear()
                after = await http.request(method, route, content=plain(3), headers={**PNG, **LONGEST})
                assert after.status_code == 200
                # The image that waited was never run.
                assert [value for values in model.seen for value in values] == [3]
                assert cancelled("inference", "deadline_exceeded") == before + 1

    asyncio.run(scenario())


def test_a_client_in_a_hurry_is_refused_at_once_where_a_patient_one_waits(
    tiny_models: Path, index_url: str
) -> None:
    async def scenario() -> None:
        async with held_up(tiny_models, index_url, images=1001) as (http, model):
            hurried = await http.post("/v1/embeddings", content=plain(3), headers={**PNG, HEADER: "1"})
            assert (hurried.status_code, hurried.json()["code"]) == (503, "deadline_unreachable")
            assert int(hurried.headers["retry-after"]) >= 1
            assert 0 < hurried.json()["retry_after"] < PATIENCE
            patient = asyncio.create_task(
                http.post("/v1/embeddings", content=plain(4), headers={**PNG, **LONGEST})
            )
            async with asyncio.timeout(PATIENCE):
                while held() != 1002:  # noqa: ASYNC110 (asked again and again, as a scrape does)
                    await asyncio.sleep(0.001)
            model.gate.set()
            assert (await patient).status_code == 200

    asyncio.run(scenario())


def test_a_time_that_is_not_allowed_is_named(tiny_models: Path, index_url: str) -> None:
    values = ("0", "600001", "-1", "1.5", "soon", "", "٣", "9" * 5000)

    async def scenario() -> None:
        async with client(tiny_models, index_url) as http:
            for method, route in (*WHOLE, ("GET", "/v1/items/x"), ("DELETE", "/v1/items/x")):
                for value in values:
                    headers = {HEADER.encode(): value.encode()}
                    response = await http.request(method, route, content=photo(), headers=headers)
                    assert (response.status_code, response.json()["code"]) == (422, "invalid_parameter")
                    assert HEADER in response.json()["detail"]
                    assert response.json()["limit"] == 600_000

    asyncio.run(scenario())


def test_the_time_of_the_database_counts_as_well(tiny_models: Path, index_url: str) -> None:
    async def scenario() -> None:
        async with client(tiny_models, index_url) as http:
            stored = await http.put("/v1/items/x", content=photo(), headers={"content-type": "image/jpeg"})
            assert stored.status_code == 200
            with psycopg.connect(index_url) as other:
                other.execute("LOCK TABLE infomax.items IN ACCESS EXCLUSIVE MODE")
                late = await http.get("/v1/items/x", headers={HEADER: "200"})
                assert (late.status_code, late.json()["code"]) == (504, "deadline_exceeded")
            in_time = await http.get("/v1/items/x", headers=LONGEST)
            assert in_time.status_code == 200

    asyncio.run(scenario())


def test_who_waits_without_a_deadline_leaves_as_before(tiny_models: Path, index_url: str) -> None:
    async def scenario() -> None:
        gone = cancelled("decode", "client_gone") + cancelled("inference", "client_gone")
        late = cancelled("decode", "deadline_exceeded") + cancelled("inference", "deadline_exceeded")
        async with held_up(tiny_models, index_url, images=2) as (http, model):
            leaves = asyncio.create_task(http.post("/v1/embeddings", content=plain(9), headers=PNG))
            async with asyncio.timeout(PATIENCE):
                while held() != 3:  # noqa: ASYNC110 (asked again and again, as a scrape does)
                    await asyncio.sleep(0.001)
            leaves.cancel()
            with pytest.raises(asyncio.CancelledError):
                await leaves
            model.gate.set()
            assert (await http.post("/v1/embeddings", content=plain(3), headers=PNG)).status_code == 200
        assert cancelled("decode", "client_gone") + cancelled("inference", "client_gone") == gone + 1
        assert cancelled("decode", "deadline_exceeded") + cancelled("inference", "deadline_exceeded") == late

    asyncio.run(scenario())


@pytest.mark.parametrize("route", ["/v1/embeddings", "/v1/mi-maps"])
def test_a_full_service_refuses_before_it_reads_the_images(
    route: str, tiny_models: Path, index_url: str
) -> None:
    async def never() -> AsyncIterator[bytes]:
        yield pytest.fail("the body was read")

    async def scenario() -> None:
        model = FragileModel(tiny_models)
        async with client(tiny_models, index_url, model, queue_seconds=1e-6) as http:
            model.gate.clear()
            files = [("image", ("a.png", plain(2)))] * 17
            held_ = asyncio.create_task(http.post("/v1/embeddings", files=files))
            assert await asyncio.to_thread(model.entered.wait, PATIENCE)
            refused = await http.post(route, content=never(), headers=PNG)
            assert (refused.status_code, refused.json()["code"]) == (503, "overloaded")
            assert refused.json()["retry_after"] < PATIENCE
            # What needs no room is answered.
            assert (await http.get("/v1/index")).status_code == 200
            model.gate.set()
            assert (await held_).status_code == 200
            accepted = await http.post(route, content=plain(3), headers=PNG)
            assert accepted.status_code == 200

    asyncio.run(scenario())
