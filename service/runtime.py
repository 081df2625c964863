"""What one process serves with: the model's pipeline and the index, started and stopped together."""

from dataclasses import dataclass, field

from fastapi import Request

from service.index.store import Index
from service.model import Model
from service.pipeline import Pipeline, Readiness
from service.settings import Settings
from service.traffic import Traffic


@dataclass(frozen=True)
class Runtime:
    """One process's parts. All methods belong to one event loop."""

    settings: Settings
    pipeline: Pipeline
    index: Index
    traffic: Traffic = field(default_factory=Traffic)

    @classmethod
    def load(cls, settings: Settings, database_url: str, model: Model | None = None) -> "Runtime":
        """Open the model and the index on a database that `schema.migrate` has prepared.

        Raises:
            ArtefactError: the model folder is missing or breaks a rule of the contract.
            SettingsError: the device that was asked for does not work.
        """
        pipeline = Pipeline(settings, model)
        return cls(settings, pipeline, Index(database_url, pipeline.card, settings.index_exact_items))

    async def start(self) -> None:
        """Warm the model up and connect to the index; on return requests are answered.

        Raises:
            ArtefactError: the model's outputs are not those of its card.
        """
        await self.pipeline.start()
        await self.index.open()

    async def drain(self) -> None:
        """Be ready no more, refuse new requests, and let those in flight be answered within the time given.

        What is left then is refused; health is still answered.
        """
        self.pipeline.announce_end()
        self.traffic.close()
        await self.traffic.until_quiet(self.settings.drain_seconds)
        await self.pipeline.stop(0)

    async def stop(self) -> None:
        """Admit nothing more, finish accepted work within the time that the settings give, then let go."""
        await self.pipeline.stop(self.settings.drain_seconds)
        await self.index.close()

    async def readiness(self) -> Readiness:
        """Whether everything is answered: the pipeline's readiness, then the index's."""
        state = self.pipeline.readiness
        if state.ready and not await self.index.healthy():
            return Readiness(ready=False, reason="The index does not answer.")
        return state


def runtime_of(request: Request) -> Runtime:
    """The runtime behind a request."""
    runtime: Runtime = request.app.state.runtime
    return runtime
