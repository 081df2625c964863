"""The worker's part in a change of model versions: prepare, activate and drop as the parent says."""

import asyncio
import logging

from contract.errors import InfomaxError
from service.models.instance import ModelInstance
from service.models.load_requests import LoadRequests
from service.models.messages import Activate, Drop, LoadRequest, Prepare, read_message, write
from service.models.registry import ModelRegistry
from service.models.version import open_version
from service.settings import Settings
from service.system.channel import Report, WorkerEnd

logger = logging.getLogger(__name__)


class WorkerAgent:
    """Handles the parent's messages beside requests. All methods belong to one event loop."""

    def __init__(
        self, settings: Settings, models: ModelRegistry, load_requests: LoadRequests, channel: WorkerEnd
    ) -> None:
        self._settings = settings
        self._models = models
        self._load_requests = load_requests
        self._channel = channel
        self._preparing: dict[int, asyncio.Task[None]] = {}
        self._prepared: dict[int, ModelInstance] = {}
        self._dropping: set[asyncio.Task[None]] = set()
        load_requests.connect(self._ask)

    def handle(self, text: str) -> None:
        """Begin to do what one message says."""
        message = read_message(text)
        if isinstance(message, Prepare):
            self._preparing[message.number] = asyncio.create_task(self._prepare(message))
        elif isinstance(message, Activate):
            self._models.activate(self._prepared.pop(message.number))
            self._channel.tell(Report.ACTIVATED, str(message.number))
        elif isinstance(message, Drop):
            self._drop(message.number)
        else:
            self._load_requests.hear(message)

    def _ask(self, load_request: LoadRequest) -> bool:
        return self._channel.tell(Report.LOAD_REQUEST, write(load_request))

    async def _prepare(self, message: Prepare) -> None:
        version, models = message.version, self._models
        try:
            # Beside the event loop, which has requests to answer.
            model = await asyncio.to_thread(open_version, version, self._settings)
            served = models.new(version.entry, model)
            await served.start()
        except InfomaxError as error:
            self._channel.tell(Report.REFUSED, f"{message.number} {error}")
        except Exception as error:
            logger.exception("%s cannot be loaded", version.id)
            reason = f"{version.id} cannot be loaded ({type(error).__name__}: {error})."
            self._channel.tell(Report.REFUSED, f"{message.number} {reason}")
        else:
            self._prepared[message.number] = served
            self._channel.tell(Report.PREPARED, str(message.number))
        finally:
            del self._preparing[message.number]

    def _drop(self, number: int) -> None:
        if (task := self._preparing.get(number)) is not None:
            task.cancel()
        if (served := self._prepared.pop(number, None)) is not None:
            stopping = asyncio.create_task(served.stop(0))
            self._dropping.add(stopping)
            stopping.add_done_callback(self._dropping.discard)
