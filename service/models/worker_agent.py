"""The worker's part in a change of versions: it prepares, takes up and drops them as the parent says."""

import asyncio
import logging

from contract.errors import InfomaxError
from service.models.instance import Served
from service.models.messages import Drop, Prepare, TakeUp, Wish, read_order, write
from service.models.version import open_version
from service.processes.channel import Report, WorkerEnd
from service.runtime import Runtime

logger = logging.getLogger(__name__)


class VersionChanges:
    """Obeys the parent's orders while requests go on. All methods belong to one event loop."""

    def __init__(self, runtime: Runtime, line: WorkerEnd) -> None:
        self._runtime = runtime
        self._line = line
        self._preparing: dict[int, asyncio.Task[None]] = {}
        self._prepared: dict[int, Served] = {}
        self._dropping: set[asyncio.Task[None]] = set()
        runtime.desk.connect(self._ask)

    def obey(self, text: str) -> None:
        """Begin to do what one order says."""
        order = read_order(text)
        if isinstance(order, Prepare):
            self._preparing[order.number] = asyncio.create_task(self._prepare(order))
        elif isinstance(order, TakeUp):
            self._runtime.models.take_up(self._prepared.pop(order.number))
            self._line.tell(Report.TAKEN, str(order.number))
        elif isinstance(order, Drop):
            self._drop(order.number)
        else:
            self._runtime.desk.hear(order)

    def _ask(self, wish: Wish) -> bool:
        return self._line.tell(Report.WISH, write(wish))

    async def _prepare(self, order: Prepare) -> None:
        version, models = order.version, self._runtime.models
        try:
            # Beside the event loop, which has requests to answer.
            model = await asyncio.to_thread(open_version, version, self._runtime.settings)
            served = models.new(version.entry, model)
            await served.start()
        except InfomaxError as error:
            self._line.tell(Report.REFUSED, f"{order.number} {error}")
        except Exception as error:
            logger.exception("%s cannot be loaded", version.id)
            reason = f"{version.id} cannot be loaded ({type(error).__name__}: {error})."
            self._line.tell(Report.REFUSED, f"{order.number} {reason}")
        else:
            self._prepared[order.number] = served
            self._line.tell(Report.PREPARED, str(order.number))
        finally:
            del self._preparing[order.number]

    def _drop(self, number: int) -> None:
        if (task := self._preparing.get(number)) is not None:
            task.cancel()
        if (served := self._prepared.pop(number, None)) is not None:
            stopping = asyncio.create_task(served.stop(0))
            self._dropping.add(stopping)
            stopping.add_done_callback(self._dropping.discard)
