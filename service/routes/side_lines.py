"""Answer to a search in parts: what is known at once, then the hits' sides of the explanations."""

import logging
from collections.abc import AsyncIterator, Mapping

from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from service.errors import ServiceError, as_service_error
from service.http.disconnect import until_disconnected
from service.outputs.json import dump
from service.outputs.lines import NDJSON, failure_json
from service.outputs.neighbours import HitSide, side_json
from service.system.race import Superseded, unless

Sides = AsyncIterator[tuple[str, HitSide | None]]

logger = logging.getLogger(__name__)


class SideLines(Response):
    """NDJSON: the answer without the hits' sides, then a line `{"id", "hit"}` for each side.

    A failure behind the first line is the last line, `{"error": {...}}`; the lines before it stay valid.
    """

    def __init__(self, first: bytes, sides: Sides | None, headers: Mapping[str, str]) -> None:
        """Answer `first`, JSON of one line, and then the sides, where there are any to come."""
        self.status_code = 200
        self.media_type = NDJSON
        self.background = None
        self.init_headers(headers)
        self._first = first
        self._sides = sides

    async def __call__(self, _scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": self.raw_headers})
        await _send_line(send, self._first)
        try:
            await unless(lambda: until_disconnected(receive), self._send_sides(send))
        except Superseded:
            logger.info("the client of a search went away before the last part")
            return
        await send({"type": "http.response.body", "body": b"", "more_body": False})

    async def _send_sides(self, send: Send) -> None:
        if self._sides is None:
            return
        try:
            async for item_id, side in self._sides:
                await _send_line(send, dump({"id": item_id, "hit": side_json(side)}))
        except ServiceError as failure:
            await _send_line(send, dump({"error": failure_json(failure)}))
        except Exception as error:
            logger.exception("a part of a search failed")
            await _send_line(send, dump({"error": failure_json(as_service_error(error))}))


async def _send_line(send: Send, line: bytes) -> None:
    await send({"type": "http.response.body", "body": line + b"\n", "more_body": True})
