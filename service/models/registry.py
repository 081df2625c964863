"""Registry of the models that one process serves side by side."""

import asyncio
import logging
from collections.abc import Iterator, Mapping
from time import perf_counter

from service import metrics
from service.errors import ServiceError
from service.index.database import Database
from service.inference.deadline import Deadline
from service.inference.model import Model
from service.inference.peers import Peers
from service.inference.pipeline import Pipeline
from service.inference.readiness import Readiness
from service.models.instance import ModelInstance
from service.settings import Settings

logger = logging.getLogger(__name__)

_WATCH_SECONDS = 1.0
_SHOWN = 100


class ModelRegistry:
    """One instance for each entry of the settings. All methods belong to one event loop."""

    def __init__(
        self, settings: Settings, database: Database, models: Mapping[str, Model], peers: Peers
    ) -> None:
        """Make an instance of each model; `models` by entry of the settings, the default one first."""
        self._settings = settings
        self._database = database
        self._peers = peers
        self._served = {entry: self.new(entry, model) for entry, model in models.items()}
        self._retiring: dict[ModelInstance, asyncio.Task[None]] = {}
        self._watcher: asyncio.Task[None] | None = None

    def __iter__(self) -> Iterator[ModelInstance]:
        return iter(self._served.values())

    @property
    def default(self) -> ModelInstance:
        """Instance that answers where a request names no model."""
        return next(iter(self._served.values()))

    async def start(self) -> None:
        """Warm every model up, one after the other.

        Raises:
            ArtefactError: the outputs of a model differ from its card's.
        """
        for served in self:
            await served.start()
            served.publish()
        self._watcher = asyncio.create_task(self._watch())

    def find(self, name: str | None) -> ModelInstance:
        """Find the instance for `name/version` or `name`; the default one for None.

        Where two entries serve versions of one name, the entry without a version answers to the bare name.

        Raises:
            ServiceError: 404 `unknown_model`.
        """
        if name is None:
            return self.default
        for served in self:
            if name == served.id:
                return served
        named = [served for served in self if name == served.name]
        for served in named:
            if served.entry == name:
                return served
        if named:
            return named[0]
        there = ", ".join(dict.fromkeys(served.id for served in self))
        raise ServiceError(
            404,
            "unknown_model",
            f"No model {name[:_SHOWN]!a} is served here. There is {there}; a name without its version is "
            "enough.",
        )

    def pipeline(self, key: str) -> Pipeline | None:
        """Return the pipeline with that key; None where no such pipeline is served."""
        return next((served.pipeline for served in self if served.pipeline.key == key), None)

    def of(self, entry: str) -> ModelInstance:
        """Return the instance that serves an entry of the settings now."""
        return self._served[entry]

    def refusal(self, deadline: Deadline | None = None) -> ServiceError | None:
        """Return why no model could answer an interactive request soon, by the model that will be free first.

        Every model counts, because the body may name the one that is asked for. None: one of them could.
        """
        first: ServiceError | None = None
        for served in self:
            reason = served.pipeline.refusal(deadline)
            if reason is None:
                return None
            if first is None or (reason.retry_after or 0.0) < (first.retry_after or 0.0):
                first = reason
        return first

    def activate(self, served: ModelInstance) -> None:
        """Answer requests for an entry with this instance, which has been started, from now on.

        The instance before it is retired after its last request.
        """
        before = self._served[served.entry]
        self._served[served.entry] = served
        served.publish()
        self._retiring[before] = asyncio.create_task(before.retire())
        self._retiring[before].add_done_callback(lambda _: self._retiring.pop(before))

    def new(self, entry: str, model: Model) -> ModelInstance:
        """Make a further instance for an entry; it answers no request yet."""
        return ModelInstance(entry, self._settings, self._database, model, self._peers)

    @property
    def readiness(self) -> Readiness:
        """Readiness of the first model that is not ready; ready where all are."""
        for served in self:
            if not (state := served.pipeline.readiness).ready:
                return state
        return Readiness(ready=True)

    def announce_end(self) -> None:
        """Be ready no more, but go on answering until `stop`."""
        for served in self:
            served.pipeline.announce_end()
        metrics.READY.set(0)

    async def stop(self, drain_seconds: float) -> None:
        """Admit nothing more, finish accepted calls within `drain_seconds`, then free everything."""
        self.announce_end()
        # Retiring instances have requests to finish too.
        retiring = dict(self._retiring)
        await asyncio.gather(*(served.stop(drain_seconds) for served in [*self, *retiring]))
        for task in retiring.values():
            task.cancel()
        self._peers.close()
        if self._watcher is not None:
            self._watcher.cancel()

    async def _watch(self) -> None:
        """Publish readiness and the age of the queues once a second."""
        while True:
            waiting = [since for served in self if (since := served.pipeline.waiting_since) is not None]
            metrics.QUEUE_OLDEST.set(perf_counter() - min(waiting) if waiting else 0)
            metrics.READY.set(self.readiness.ready)
            await asyncio.sleep(_WATCH_SECONDS)
