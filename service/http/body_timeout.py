"""The body of a request, whose client has to go on sending it."""

import asyncio

from starlette.types import Message, Receive, Scope

from service.errors import ServiceError

# What counts as going on. Less, and a byte now and then would hold a request for days.
_STEP_BYTES = 1024
_ARRIVED = "body_arrived"


def note_arrival(scope: Scope) -> None:
    """Note that a request's whole body has come, so that none of it is waited for."""
    scope["state"][_ARRIVED] = True


class TimedBody:
    """Receives a request's messages, and gives its body up when the client does not go on with it.

    Only the time in which the service waits for the client counts: what it takes to answer what has come
    already, or to find room for more, is not the client's fault.
    """

    def __init__(self, scope: Scope, receive: Receive, seconds: float) -> None:
        """`seconds` is how long the client may take for the next KiB, or for the rest."""
        self._state = scope.setdefault("state", {})
        self._receive = receive
        self._seconds = seconds
        self._waited = 0.0
        self._step = 0
        self._complete = False

    async def receive(self) -> Message:
        """The next message.

        Raises:
            ServiceError: 408 `client_too_slow`.
        """
        if self._complete or _ARRIVED in self._state:
            return await self._receive()
        clock = asyncio.get_running_loop().time
        asked = clock()
        try:
            async with asyncio.timeout(self._seconds - self._waited):
                message = await self._receive()
        except TimeoutError:
            raise too_slow("body", self._seconds) from None
        self._waited += clock() - asked
        self._step += len(message.get("body", b""))
        if self._step >= _STEP_BYTES:
            self._waited, self._step = 0.0, 0
        self._complete = not message.get("more_body", False)
        return message


def too_slow(part: str, seconds: float) -> ServiceError:
    """The refusal of a request that did not arrive."""
    return ServiceError(
        408,
        "client_too_slow",
        f"The request's {part} did not go on for {seconds:g} seconds. Send it again without a pause, or "
        "raise INFOMAX_CLIENT_SECONDS.",
        setting="INFOMAX_CLIENT_SECONDS",
    )
