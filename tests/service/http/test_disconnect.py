"""A client that closes its connection, and what waits for its answer."""

import asyncio
from threading import Event
from typing import Any

import pytest
from fastapi import Request

from service.errors import ServiceError
from service.http.disconnect import while_connected
from service.http.request_context import begin_context
from service.http.timeouts import TimedProtocol
from tests.service.http.connections import PATIENCE, served

ASK = b"POST / HTTP/1.1\r\nHost: infomax\r\nContent-Length: 2\r\n\r\nhi"


class Patient(TimedProtocol):
    """With more patience than a test."""

    def __init__(self, **parts: Any) -> None:
        super().__init__(PATIENCE, **parts)


class Waiting:
    """An application whose answer never comes.

    Attributes:
        begun: whether it waits.
        ended: whether it has ended.
        code: of the refusal that it ended with.
    """

    def __init__(self) -> None:
        self.begun, self.ended = Event(), Event()
        self.code = ""

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        begin_context(scope, "id")
        request = Request(scope, receive, send)
        await request.body()
        self.begun.set()
        try:
            await while_connected(request, asyncio.Event().wait())
        except ServiceError as error:
            self.code = error.code
        self.ended.set()


def test_the_end_of_a_connection_ends_what_waits_for_its_answer() -> None:
    app = Waiting()
    with served(app, Patient) as connection:
        connection.sendall(ASK)
        assert app.begun.wait(PATIENCE)
        connection.close()
        assert app.ended.wait(PATIENCE)
    assert app.code == "client_gone"


def request_of(scope: dict[str, Any]) -> Request:
    return Request({"type": "http", "headers": [], **scope})


def test_nothing_is_begun_for_a_client_that_has_left_before() -> None:
    begun = []

    async def begin() -> None:
        begun.append(True)

    async def scenario() -> None:
        scope: dict[str, Any] = {}
        begin_context(scope, "id").disconnect()
        with pytest.raises(ServiceError, match="before its answer"):
            await while_connected(request_of(scope), begin())
        await asyncio.sleep(0)

    asyncio.run(scenario())
    assert begun == []


def test_a_client_that_leaves_behind_its_answer_cancels_nothing() -> None:
    async def scenario() -> str:
        scope: dict[str, Any] = {}
        context = begin_context(scope, "id")
        answer = await while_connected(request_of(scope), asyncio.sleep(0, "answer"))
        context.disconnect()
        await asyncio.sleep(0)
        return answer

    assert asyncio.run(scenario()) == "answer"


def test_another_cancellation_is_not_taken_for_the_client() -> None:
    async def scenario() -> None:
        scope: dict[str, Any] = {}
        begin_context(scope, "id")
        task = asyncio.ensure_future(while_connected(request_of(scope), asyncio.Event().wait()))
        await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(scenario())


def test_a_disconnect_that_is_told_twice_cancels_once() -> None:
    cleaned: list[bool] = []

    async def work() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            # An end that waits for others is not cancelled in its turn.
            await asyncio.sleep(0)
            await asyncio.sleep(0)
            cleaned.append(True)

    async def scenario() -> None:
        scope: dict[str, Any] = {}
        context = begin_context(scope, "id")
        task = asyncio.create_task(while_connected(request_of(scope), work()))
        await asyncio.sleep(0)
        context.disconnect()
        await asyncio.sleep(0)
        context.disconnect()
        with pytest.raises(ServiceError, match="before its answer"):
            await task
        assert task.cancelling() == 0

    asyncio.run(scenario())
    assert cleaned
