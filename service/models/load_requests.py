"""Where requests for model versions wait for the parent process, and where its news lies."""

import asyncio
from collections.abc import Callable
from uuid import uuid4

from service import metrics
from service.errors import ServiceError
from service.inference.admission import shutting_down
from service.models.messages import LoadRequest, LoadResult, StatusUpdate, VersionStatus

_ASK_AGAIN_SECONDS = 1.0


class LoadRequests:
    """One process's side of loading while serving. All methods belong to one event loop.

    Attributes:
        fates: what became of the versions that are not served, oldest first.
    """

    def __init__(self) -> None:
        self.statuses: tuple[VersionStatus, ...] = ()
        self._ask: Callable[[LoadRequest], bool] = lambda _wish: False
        self._waiting: dict[str, asyncio.Future[LoadResult]] = {}

    def connect(self, ask: Callable[[LoadRequest], bool]) -> None:
        """Say how a wish reaches the parent; `ask` returns whether it is on its way."""
        self._ask = ask

    async def load(self, entry: str, version: int | None) -> None:
        """Have a version of an entry of the settings loaded, the newest by default, and wait for it.

        Raises:
            ServiceError: 409 `model_refused` where it is missing, broken or fails its self-test; 503
                `not_ready` where the parent takes no wish now, or `shutting_down`.
        """
        token = uuid4().hex
        result = self._waiting[token] = asyncio.get_running_loop().create_future()
        try:
            if not self._ask(LoadRequest(token, entry, version)):
                raise ServiceError(
                    503,
                    "not_ready",
                    "No model can be loaded now: the parent process takes no request.",
                    retry_after=_ASK_AGAIN_SECONDS,
                )
            reason = (await result).reason
        finally:
            del self._waiting[token]
        if reason:
            raise ServiceError(409, "model_refused", reason)

    def hear(self, message: StatusUpdate | LoadResult) -> None:
        """Take in what the parent says."""
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
        """Refuse what still waits."""
        for waiting in self._waiting.values():
            if not waiting.done():
                waiting.set_exception(shutting_down())
