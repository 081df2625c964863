"""Worker's part in rollouts: prepare, activate and drop versions as the parent tells it."""

import asyncio
import logging

from contract.errors import InfomaxError
from service.models.instance import ModelInstance
from service.models.load_requests import LoadRequests
from service.models.messages import (
    Activate,
    Activated,
    Drop,
    Prepare,
    Prepared,
    Refused,
    WorkerMessage,
    read_parent_message,
    write,
)
from service.models.opening import open_version
from service.models.registry import ModelRegistry
from service.settings import Settings
from service.system.channel import Report, WorkerEnd

logger = logging.getLogger(__name__)


class WorkerAgent:
    """Handler of the parent's messages, beside requests. All methods belong to one event loop."""

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
        load_requests.connect(self._send)

    def handle(self, text: str) -> None:
        """Handle one message; what takes long is begun."""
        message = read_parent_message(text)
        if isinstance(message, Prepare):
            self._preparing[message.number] = asyncio.create_task(self._prepare(message))
        elif isinstance(message, Activate):
            self._models.activate(self._prepared.pop(message.number))
            self._send(Activated(message.number))
        elif isinstance(message, Drop):
            self._drop(message.number)
        else:
            self._load_requests.handle(message)

    def _send(self, message: WorkerMessage) -> bool:
        return self._channel.tell(Report.MESSAGE, write(message))

    async def _prepare(self, message: Prepare) -> None:
        number, version = message.number, message.version
        try:
            # In a thread, because the event loop has requests to answer.
            model = await asyncio.to_thread(open_version, version, self._settings)
            instance = self._models.new(version.entry, model)
            await instance.start()
        except InfomaxError as error:
            self._send(Refused(number, str(error)))
        except Exception as error:
            logger.exception("%s cannot be loaded", version.id)
            reason = f"{version.id} cannot be loaded ({type(error).__name__}: {error})."
            self._send(Refused(number, reason))
        else:
            self._prepared[number] = instance
            self._send(Prepared(number))
        finally:
            del self._preparing[number]

    def _drop(self, number: int) -> None:
        if (task := self._preparing.get(number)) is not None:
            task.cancel()
        if (instance := self._prepared.pop(number, None)) is not None:
            stopping = asyncio.create_task(instance.stop(0))
            self._dropping.add(stopping)
            stopping.add_done_callback(self._dropping.discard)
