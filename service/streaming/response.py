"""HTTP response of a stream, written while the request's body is still being read."""

import logging
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from typing import Protocol, TypeVar

from starlette.requests import ClientDisconnect
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from service.errors import ServiceError, as_service_error
from service.inference.outcome_counters import count_outcomes
from service.inputs.body import client_gone
from service.streaming.answers import Answer, Tally
from service.streaming.body import DuplexBody
from service.streaming.stream import Stream
from service.streaming.writer import AnswerWriter, UnreadLimits
from service.system.race import Superseded, unless

logger = logging.getLogger(__name__)

T = TypeVar("T")


class AnswerFormat(Protocol):
    """Format of a stream's answers."""

    media_type: str

    def answers(self, answers: Sequence[Answer]) -> bytes:
        """Write the next answers."""

    def end(self, tally: Tally, failure: ServiceError | None) -> bytes:
        """Write the end; `failure` is why the stream ended early."""


class StreamResponse(Response):
    """Response that runs a stream and writes its answers as they come.

    The status is sent with the first answer. So a stream that fails before that is refused like any other
    request. A later failure is written in the stream's own format, and earlier answers stay valid.
    """

    def __init__(
        self, stream: Stream[T], body: DuplexBody, form: AnswerFormat, route: str, unread: UnreadLimits
    ) -> None:
        self.status_code = 200
        self.media_type = form.media_type
        self.background = None
        self.init_headers()
        self._run = stream.run
        self._body = body
        self._form = form
        self._route = route
        self._unread = unread
        self._tally = Tally()
        self._begun = False

    async def __call__(self, _scope: Scope, _receive: Receive, send: Send) -> None:
        try:
            async with AnswerWriter(self._sender(send), self._body.is_coming, self._unread) as writer:
                failure = await self._answer(writer)
                if failure is not None and not self._begun:
                    raise failure
                end = self._form.end(self._tally, failure)
                await unless(self._until_gone, writer.finish(end))
        except (ClientDisconnect, Superseded):
            logger.info("a stream's client went away", extra=self._report(complete=False))
            if not self._begun:
                raise client_gone() from None
            return
        await send({"type": "http.response.body", "body": b"", "more_body": False})
        logger.info("a stream was answered", extra=self._report(complete=failure is None))

    async def _answer(self, writer: AnswerWriter) -> ServiceError | None:
        """Run the stream; return why it ended early, once something was answered."""

        async def write(answers: Sequence[Answer]) -> None:
            self._begun = True
            self._tally.add(answers)
            count_outcomes(self._route, [answer.failed for answer in answers])
            await writer.write(self._form.answers(answers))

        try:
            return await unless(self._body.until_disconnected, self._run(write))
        except (ClientDisconnect, Superseded):
            raise
        except ServiceError as failure:
            return failure
        except Exception as error:
            if not self._begun:
                raise
            logger.exception("a stream failed")
            return as_service_error(error)

    async def _until_gone(self) -> None:
        """Return when the client is gone; until then discard what it sends, or it would never read."""
        # A client that stops sending may be waiting for the end of its answer.
        with suppress(ServiceError):
            await self._body.discard()
        await self._body.until_disconnected()

    def _sender(self, send: Send) -> Callable[[bytes], Awaitable[None]]:
        started = False

        async def pass_on(data: bytes) -> None:
            nonlocal started
            if not started:
                started = True
                head = {
                    "type": "http.response.start",
                    "status": self.status_code,
                    "headers": self.raw_headers,
                }
                await send(head)
            await send({"type": "http.response.body", "body": data, "more_body": True})

        return pass_on

    def _report(self, *, complete: bool) -> dict[str, object]:
        tally = self._tally
        return {
            "route": self._route,
            "items": tally.items,
            "ok": tally.ok,
            "errors": tally.errors,
            "complete": complete,
        }
