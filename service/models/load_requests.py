"""One process's load requests to the parent, and the parent's latest status update."""

import asyncio
from collections.abc import Callable
from uuid import uuid4

from service import metrics
from service.errors import ServiceError
from service.inference.admission import shutting_down
from service.models.messages import LoadRequest, LoadResult, StatusUpdate, VersionStatus

_RETRY_SECONDS = 1.0


class LoadRequests:
    """Load requests that wait for their results. All methods belong to one event loop.

    Attributes:
        statuses: states of the versions that are not served, oldest first.
    """

    def __init__(self) -> None:
        self.statuses: tuple[VersionStatus, ...] = ()
        self._send: Callable[[LoadRequest], bool] = lambda _request: False
        self._waiting: dict[str, asyncio.Future[LoadResult]] = {}

    def connect(self, send: Callable[[LoadRequest], bool]) -> None:
        """Set how a request reaches the parent; `send` returns whether it is on its way."""
        self._send = send

    async def load(self, entry: str, version: int | None) -> None:
        """Have a version of an entry of the settings loaded, the newest by default, and wait for it.

        Raises:
            ServiceError: 409 `model_refused` where the version is missing, broken or fails its self-test; 503
                `not_ready` where the parent takes no request now, or `shutting_down`.
        """
        token = uuid4().hex
        result = self._waiting[token] = asyncio.get_running_loop().create_future()
        try:
            if not self._send(LoadRequest(token, entry, version)):
                raise ServiceError(
                    503,
                    "not_ready",
                    "The parent process takes no load request now. Send the request again in a second.",
                    retry_after=_RETRY_SECONDS,
                )
            reason = (await result).reason
        finally:
            del self._waiting[token]
        if reason:
            raise ServiceError(409, "model_refused", reason)

    def handle(self, message: StatusUpdate | LoadResult) -> None:
        """Take in a message of the parent."""
        if isinstance(message, LoadResult):
            waiting = self._waiting.get(message.token)
            if waiting is not None and not waiting.done():
                waiting.set_result(message)
            return
        failed = {status.entry for status in message.statuses if status.state == "failed"}
        for entry in failed | {status.entry for status in self.statuses}:
            metrics.MODEL_LOAD_FAILED.labels(entry).set(entry in failed)
        self.statuses = message.statuses

    def close(self) -> None:
        """Refuse the requests that still wait."""
        for waiting in self._waiting.values():
            if not waiting.done():
                waiting.set_exception(shutting_down())
