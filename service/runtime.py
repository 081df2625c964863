"""Runtime of one process: the models and the index, started and stopped together."""

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
    """Parts of one process. All methods belong to one event loop."""

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
            settings: settings of the service.
            database_url: URL of the index's database.
            models: models by entry of the settings, the default one first; opened here unless given.
            peers: the other workers.

        Raises:
            ArtefactError: a model folder is missing or breaks a rule of the contract.
            SettingsError: the demanded device does not work.
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
        """Warm the models up and connect to the index; requests are answered on return.

        Raises:
            ArtefactError: a model's outputs differ from its card's.
        """
        await self.database.open()
        try:
            await self.models.start()
        except BaseException:
            # `stop` is not called after a failed start, and connections that are being made outlive a
            # cancelled loop.
            await self.models.stop(0)
            await self.database.close()
            raise

    async def drain(self) -> None:
        """Be ready no more, refuse new requests, and answer those in flight within the time of the settings.

        Requests that are left then are refused; health is still answered.
        """
        self.models.announce_end()
        self.in_flight.close()
        self.load_requests.close()
        await self.in_flight.until_quiet(self.settings.drain_seconds)
        await self.models.stop(0)

    async def stop(self) -> None:
        """Admit nothing more, finish accepted calls within the time of the settings, then free everything."""
        await self.models.stop(self.settings.drain_seconds)
        await self.database.close()

    async def readiness(self) -> Readiness:
        """Return the readiness of the models, then of the index."""
        state = self.models.readiness
        if state.ready and not await self.database.healthy():
            return Readiness(ready=False, reason="The index does not answer.")
        return state


def runtime_of(request: Request) -> Runtime:
    """Return the runtime behind a request."""
    runtime: Runtime = request.app.state.runtime
    return runtime


def served_for(request: Request, name: str | None = None) -> ModelInstance:
    """Find the model that answers a request: the one of that name, or the default one.

    The request keeps this version until its end, even where another one is activated meanwhile.

    Raises:
        ServiceError: 404 `unknown_model`.
    """
    served = runtime_of(request).models.find(name)
    context_of(request).use(served)
    return served
