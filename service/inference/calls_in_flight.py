"""Calls in flight: they wait for their outcomes, and are abandoned or refused together with their images."""

import asyncio
from collections.abc import Sequence
from typing import cast

from service.errors import ServiceError
from service.inference.calls import Call, Item
from service.inference.deadline import Deadline
from service.inference.results import Outcome

_RETRY_SECONDS = 1.0


class CallsInFlight:
    """Calls of one pipeline. All methods belong to one event loop."""

    def __init__(self) -> None:
        self._calls: set[Call] = set()

    def __len__(self) -> int:
        """Count the calls."""
        return len(self._calls)

    async def outcomes(self, call: Call, items: Sequence[Item], deadline: Deadline | None) -> list[Outcome]:
        """Wait for the outcomes of a call, whose images are queued; abandon them where the wait ends early.

        Raises:
            ServiceError: the call was refused.
        """
        self._calls.add(call)
        try:
            await call.done
        except asyncio.CancelledError:
            late = deadline is not None and deadline.passed
            call.abandoned = "deadline_exceeded" if late else "client_gone"
            raise
        except ServiceError as refusal:
            call.abandoned = refusal.code
            raise
        finally:
            self._calls.discard(call)
            if call.missing:
                for item in items:
                    # Admission frees the room now, so the bytes must go now, not when the queue comes to
                    # them.
                    item.data = b""
        return cast("list[Outcome]", call.outcomes)

    def refuse(self, code: str, message: str) -> None:
        """Refuse every call with a 503."""
        for call in self._calls:
            if not call.done.done():
                call.done.set_exception(ServiceError(503, code, message, retry_after=_RETRY_SECONDS))
