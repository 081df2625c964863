"""A stream's answer over HTTP, written while the request's body is still being read."""

import asyncio
import logging
from collections.abc import AsyncIterator, Sequence
from typing import Protocol, TypeVar

from fastapi import Request
from starlette.requests import ClientDisconnect
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from service.errors import ServiceError, as_service_error
from service.inference.outcome_counters import count_outcomes
from service.inputs.body import client_gone
from service.streaming.answers import Answer, Tally
from service.streaming.stream import Stream, Write

logger = logging.getLogger(__name__)

T = TypeVar("T")


class AnswerFormat(Protocol):
    """How the answers of a stream are written."""

    media_type: str

    def answers(self, answers: Sequence[Answer]) -> bytes:
        """The next answers."""

    def end(self, tally: Tally, failure: ServiceError | None) -> bytes:
        """What comes last; `failure` is why the stream ended before its end."""


class DuplexBody:
    """A request's body and, behind it, word of its client: one channel, on which one may listen at a time."""

    def __init__(self, request: Request) -> None:
        self._request = request
        self._read_to_end = asyncio.Event()

    async def pieces(self) -> AsyncIterator[bytes]:
        """The body as it arrives.

        Raises:
            ClientDisconnect: the client went away before it had sent everything.
        """
        async for piece in self._request.stream():
            yield piece
        self._read_to_end.set()

    async def until_disconnected(self) -> None:
        """Wait until the client, having sent everything, goes away before it has been answered."""
        await self._read_to_end.wait()
        while (await self._request.receive())["type"] != "http.disconnect":
            pass


class StreamResponse(Response):
    """Runs a stream and writes its answers as they come.

    The status is sent with the first answer. So a stream that fails before it is refused like any other
    request; later a failure is told in the stream's own format, and what was answered stays answered.
    """

    def __init__(self, stream: Stream[T], body: DuplexBody, form: AnswerFormat, route: str) -> None:
        self.status_code = 200
        self.media_type = form.media_type
        self.background = None
        self.init_headers()
        self._run = stream.run
        self._body = body
        self._form = form
        self._route = route
        self._tally = Tally()
        self._started = False

    async def __call__(self, _scope: Scope, _receive: Receive, send: Send) -> None:
        async def write(answers: Sequence[Answer]) -> None:
            self._tally.add(answers)
            count_outcomes(self._route, [answer.failed for answer in answers])
            await self._write(send, self._form.answers(answers))

        try:
            failure = await self._until_answered_or_gone(write)
        except ClientDisconnect:
            logger.info("a stream's client went away", extra=self._report(complete=False))
            if not self._started:
                raise client_gone() from None
            return
        except Exception as error:
            if not self._started:
                raise
            logger.exception("a stream failed")
            failure = as_service_error(error)
        if failure is not None and not self._started:
            raise failure
        await self._write(send, self._form.end(self._tally, failure))
        await send({"type": "http.response.body", "body": b"", "more_body": False})
        logger.info("a stream was answered", extra=self._report(complete=failure is None))

    async def _until_answered_or_gone(self, write: Write) -> ServiceError | None:
        answered = asyncio.create_task(self._run(write))
        gone = asyncio.create_task(self._body.until_disconnected())
        try:
            await asyncio.wait((answered, gone), return_when=asyncio.FIRST_COMPLETED)
            if not answered.done():
                raise ClientDisconnect
            return answered.result()
        finally:
            answered.cancel()
            gone.cancel()
            await asyncio.gather(answered, gone, return_exceptions=True)

    async def _write(self, send: Send, data: bytes) -> None:
        if not self._started:
            self._started = True
            start = {"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers}
            await send(start)
        await send({"type": "http.response.body", "body": data, "more_body": True})

    def _report(self, *, complete: bool) -> dict[str, object]:
        tally = self._tally
        return {
            "route": self._route,
            "items": tally.items,
            "ok": tally.ok,
            "errors": tally.errors,
            "complete": complete,
        }
