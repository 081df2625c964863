"""What one process serves with: the models and the index, started and stopped together."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from fastapi import Request

from service.http.in_flight import InFlight
from service.http.request_context import context_of
from service.index.database import Database
from service.inference.model import Model, open_model
from service.inference.peers import NO_PEERS, Peers
from service.inference.readiness import Readiness
from service.models.instance import ModelInstance
from service.models.load_requests import LoadRequests
from service.models.registry import ModelRegistry
from service.settings import Settings


@dataclass(frozen=True)
class Runtime:
    """One process's parts. All methods belong to one event loop."""

    settings: Settings
    models: ModelRegistry
    database: Database
    in_flight: InFlight = field(default_factory=InFlight)
    load_requests: LoadRequests = field(default_factory=LoadRequests)

    @classmethod
    def load(
        cls,
        settings: Settings,
        database_url: str,
        models: Mapping[str, Model] | None = None,
        peers: Peers = NO_PEERS,
    ) -> "Runtime":
        """Open the models and the index on a database that `schema.migrate` has prepared.

        Args:
            settings: of the service.
            database_url: of the index.
            models: by their entries of the settings, the default one first; opened here unless given.
            peers: the other workers, where there are any.

        Raises:
            ArtefactError: a model folder is missing or breaks a rule of the contract.
            SettingsError: the device that was asked for does not work.
        """
        if models is None:
            models = {
                entry: open_model(settings.model_copy(update={"model": entry}))
                for entry in settings.served_models
            }
        folder = settings.data_dir if settings.database_url is None else None
        database = Database(database_url, settings.index_seconds, folder)
        return cls(settings, ModelRegistry(settings, database, models, peers), database)

    async def start(self) -> None:
        """Warm the models up and connect to the index; on return requests are answered.

        Raises:
            ArtefactError: a model's outputs are not those of its card.
        """
        await self.database.open()
        try:
            await self.models.start()
        except BaseException:
            # Nobody stops what has not started; and connections that are being made outlive a cancelled loop.
            await self.models.stop(0)
            await self.database.close()
            raise

    async def drain(self) -> None:
        """Be ready no more, refuse new requests, and let those in flight be answered within the time given.

        What is left then is refused; health is still answered.
        """
        self.models.announce_end()
        self.in_flight.close()
        self.load_requests.close()
        await self.in_flight.until_quiet(self.settings.drain_seconds)
        await self.models.stop(0)

    async def stop(self) -> None:
        """Admit nothing more, finish accepted work within the time that the settings give, then let go."""
        await self.models.stop(self.settings.drain_seconds)
        await self.database.close()

    async def readiness(self) -> Readiness:
        """Whether everything is answered: the models' readiness, then the index's."""
        state = self.models.readiness
        if state.ready and not await self.database.healthy():
            return Readiness(ready=False, reason="The index does not answer.")
        return state


def runtime_of(request: Request) -> Runtime:
    """The runtime behind a request."""
    runtime: Runtime = request.app.state.runtime
    return runtime


def served_for(request: Request, name: str | None = None) -> ModelInstance:
    """Find the model version that answers a request: the one of that name, or the default one.

    The request keeps it until it is over, even where another version takes its place meanwhile.

    Raises:
        ServiceError: 404 `unknown_model`.
    """
    served = runtime_of(request).models.find(name)
    context_of(request).use(served)
    return served
