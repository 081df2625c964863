"""Instance of one model version: its pipeline and its space of the index."""

import asyncio
import logging

from prometheus_client import Gauge

from service import metrics
from service.index.database import Database
from service.index.pictures import Pictures
from service.index.store import Index
from service.inference.model import Model
from service.inference.peers import Peers
from service.inference.pipeline import Pipeline
from service.settings import Settings
from service.system import gc_tuning

logger = logging.getLogger(__name__)


class ModelInstance:
    """Model version with sessions, queues, threads and a space of the index of its own.

    So batches never mix versions, and a version ends as a whole. All methods belong to one event loop.

    Attributes:
        entry: the entry of the settings that it serves.
        id: `name/version` of the model.
        name: name of the model.
        pipeline: makes the answers.
        index: its space of the index.
        pictures: keeps thumbnails and originals beside the vectors.
    """

    def __init__(
        self, entry: str, settings: Settings, database: Database, model: Model, peers: Peers
    ) -> None:
        self.entry = entry
        self.pipeline = Pipeline(settings, model, peers)
        self._precision = self.pipeline.report.precision.active
        self.index = Index(
            database,
            self.pipeline.card,
            settings.index_exact_items,
            entry,
            self._precision,
            regions=settings.index_regions,
        )
        self.pictures = Pictures(self.pipeline.card, settings)
        self.id = self.pipeline.card.id
        self.name = self.pipeline.card.name
        self._users = 0
        self._unused = asyncio.Event()
        self._unused.set()

    async def start(self) -> None:
        """Warm the model up and test it; requests are answered on return.

        Raises:
            ArtefactError: the model's outputs differ from its card's.
        """
        try:
            await self.pipeline.start()
        except BaseException:
            await self.pipeline.stop(0)
            raise
        self.index.start()

    def publish(self) -> None:
        """Publish version, provider, precision and speed as metrics."""
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
        """Count a request that begins to use this version."""
        self._users += 1
        self._unused.clear()

    def end(self) -> None:
        """Count a request that is over."""
        self._users -= 1
        if not self._users:
            self._unused.set()

    async def retire(self) -> None:
        """Free everything, once the last request on this version is over."""
        self._info().set(0)
        await self._unused.wait()
        await self.stop(0)
        del self.pipeline, self.index, self.pictures
        # The parts of a pipeline refer to each other: only the cycle collector frees them.
        gc_tuning.settle()
        logger.info("%s is retired", self.id)

    async def stop(self, drain_seconds: float) -> None:
        """Admit nothing more, finish accepted calls within `drain_seconds`, then free everything."""
        await self.pipeline.stop(drain_seconds)
        self.pictures.stop()
        await self.index.stop()

    def _info(self) -> Gauge:
        card = self.pipeline.card
        return metrics.MODEL_INFO.labels(
            card.name, card.version, card.encoder_sha256(self._precision), self.pipeline.report.active
        )
