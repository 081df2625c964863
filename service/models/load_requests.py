"""Where requests for model versions wait for the parent process, and where its news lies."""

import asyncio
from collections.abc import Callable
from uuid import uuid4

from service import metrics
from service.errors import ServiceError
from service.inference.admission import shutting_down
from service.models.messages import Fate, News, Outcome, Wish

_ASK_AGAIN_SECONDS = 1.0


class LoadDesk:
    """One process's side of loading while serving. All methods belong to one event loop.

    Attributes:
        fates: what became of the versions that are not served, oldest first.
    """

    def __init__(self) -> None:
        self.fates: tuple[Fate, ...] = ()
        self._ask: Callable[[Wish], bool] = lambda _wish: False
        self._waiting: dict[str, asyncio.Future[Outcome]] = {}

    def connect(self, ask: Callable[[Wish], bool]) -> None:
        """Say how a wish reaches the parent; `ask` returns whether it is on its way."""
        self._ask = ask

    async def load(self, entry: str, version: int | None) -> None:
        """Have a version of an entry of the settings loaded, the newest by default, and wait for it.

        Raises:
            ServiceError: 409 `model_refused` where it is missing, broken or fails its self-test; 503
                `not_ready` where the parent takes no wish now, or `shutting_down`.
        """
        token = uuid4().hex
        outcome = self._waiting[token] = asyncio.get_running_loop().create_future()
        try:
            if not self._ask(Wish(token, entry, version)):
                raise ServiceError(
                    503,
                    "not_ready",
                    "No model can be loaded now: the parent process takes no request.",
                    retry_after=_ASK_AGAIN_SECONDS,
                )
            reason = (await outcome).reason
        finally:
            del self._waiting[token]
        if reason:
            raise ServiceError(409, "model_refused", reason)

    def hear(self, message: News | Outcome) -> None:
        """Take in what the parent says."""
        if isinstance(message, Outcome):
            waiting = self._waiting.get(message.token)
            if waiting is not None and not waiting.done():
                waiting.set_result(message)
            return
        failed = {fate.entry for fate in message.fates if fate.state == "failed"}
        for entry in failed | {fate.entry for fate in self.fates}:
            metrics.MODEL_LOAD_FAILED.labels(entry).set(entry in failed)
        self.fates = message.fates

    def close(self) -> None:
        """Refuse what still waits."""
        for waiting in self._waiting.values():
            if not waiting.done():
                waiting.set_exception(shutting_down())
