"""One model version that answers requests: its pipeline and its part of the index."""

import asyncio
import logging

from prometheus_client import Gauge

from service import metrics
from service.index.database import Database
from service.index.store import Index
from service.inference.model import Model
from service.inference.peers import Peers
from service.inference.pipeline import Pipeline
from service.settings import Settings
from service.system import gc_tuning

logger = logging.getLogger(__name__)


class ModelInstance:
    """A model version with everything of its own: sessions, queues, threads, and a space of the index.

    So batches never mix versions, and a version ends as a whole. All methods belong to one event loop.

    Attributes:
        entry: the entry of the settings that it stands for.
        id, name: of the model, the one as `name/version`.
        pipeline, index: what its requests are answered with.
    """

    def __init__(
        self, entry: str, settings: Settings, database: Database, model: Model, peers: Peers
    ) -> None:
        self.entry = entry
        self.pipeline = Pipeline(settings, model, peers)
        self._precision = self.pipeline.report.precision.active
        self.index = Index(database, self.pipeline.card, settings.index_exact_items, entry, self._precision)
        self.id = self.pipeline.card.id
        self.name = self.pipeline.card.name
        self._users = 0
        self._unused = asyncio.Event()
        self._unused.set()

    async def start(self) -> None:
        """Warm the model up and test it; on return requests are answered.

        Raises:
            ArtefactError: the model's outputs are not those of its card.
        """
        try:
            await self.pipeline.start()
        except BaseException:
            await self.pipeline.stop(0)
            raise
        self.index.start()

    def show(self) -> None:
        """Publish what is served, and on what it runs."""
        card, report = self.pipeline.card, self.pipeline.report
        self._info().set(1)
        metrics.PROVIDER_REQUESTED.labels(report.requested).set(1)
        metrics.PROVIDER_ACTIVE.labels(report.active).set(1)
        metrics.PRECISION_ACTIVE.labels(self.entry, self._precision).set(1)
        metrics.WARM_UP_RATE.labels(self.entry).set(self.pipeline.images_per_second)
        for share in report.nodes:
            metrics.NODES.labels(self.entry, share.provider).set(share.nodes)
        logger.info("%s is served on %s", card.id, report.summary)

    def begin(self) -> None:
        """A request begins to use this version."""
        self._users += 1
        self._unused.clear()

    def end(self) -> None:
        """A request that has begun is over."""
        self._users -= 1
        if not self._users:
            self._unused.set()

    async def retire(self) -> None:
        """Free everything, once the last request that has begun here is over."""
        self._info().set(0)
        await self._unused.wait()
        await self.stop(0)
        del self.pipeline, self.index
        # The parts of a pipeline know each other, and none of them is looked at again.
        gc_tuning.settle()
        logger.info("%s is retired", self.id)

    async def stop(self, drain_seconds: float) -> None:
        """Admit nothing more, finish accepted work within the time given, then let go."""
        await self.pipeline.stop(drain_seconds)
        await self.index.stop()

    def _info(self) -> Gauge:
        card = self.pipeline.card
        return metrics.MODEL_INFO.labels(
            card.name, card.version, card.encoder_sha256(self._precision), self.pipeline.report.active
        )
