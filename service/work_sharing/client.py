"""The other workers of the service, who answer for this one what they have time for.

A connection belongs to one worker, and a Python process is bound by its interpreter lock. So one client's
stream would have the use of little more than one core, whatever the others have to do. Here its chunks go to
workers that have no work of their own, and come back as answers.
"""

import asyncio
import logging
from collections import defaultdict
from pathlib import Path

from service.inference.peers import PeerRequest
from service.inference.results import Outcome
from service.work_sharing.load_table import LoadTable
from service.work_sharing.protocol import read_answer, write_request

logger = logging.getLogger(__name__)

BUFFER_BYTES = 2**20
"""Of what a reader takes in before it is read: a chunk of small images and their answers."""

# Longer than any chunk takes.
_ANSWER_SECONDS = 30.0
# One that hangs holds up a stream once, not with every chunk.
_SUSPENDED_SECONDS = 300.0

_Connection = tuple[asyncio.StreamReader, asyncio.StreamWriter]


def address(folder: Path, place: int) -> Path:
    """The socket on which the worker at a place answers questions."""
    return folder / f"{place}.sock"


class PeerClient:
    """What one worker knows of the others. All of it runs on one event loop.

    Whoever asks has to be ready to do the work itself.
    """

    def __init__(self, folder: Path, table: LoadTable) -> None:
        """`folder` holds the sockets."""
        self._folder = folder
        self._table = table
        self._idle: defaultdict[int, list[_Connection]] = defaultdict(list)
        # Places that are not asked, and until when by the event loop's clock.
        self._hanging: dict[int, float] = {}

    def work(self, change: int) -> None:
        """So many more of this worker's models have work of their own, or fewer."""
        self._table.work(change)

    async def answer(self, request: PeerRequest, own: int) -> list[Outcome] | None:
        """One outcome for each image, or None if nobody has time, or who had was lost.

        `own` is how many such questions this worker answers itself: nobody is given more.
        """
        now = asyncio.get_running_loop().time()
        self._hanging = {place: until for place, until in self._hanging.items() if until > now}
        place = self._table.borrow(own, without=self._hanging)
        if place is None:
            return None
        try:
            async with asyncio.timeout(_ANSWER_SECONDS):
                return await self._ask(place, request)
        except TimeoutError:
            logger.warning(
                "worker %d has not answered another one in %.0f s and is asked no more for %.0f s",
                place,
                _ANSWER_SECONDS,
                _SUSPENDED_SECONDS,
            )
            self._hanging[place] = now + _SUSPENDED_SECONDS
        except (OSError, asyncio.IncompleteReadError) as error:
            # It died, or is about to begin.
            logger.info("worker %d has not answered: %s", place, error)
        finally:
            self._table.give_back(place)
        self._drop(self._idle.pop(place, []))
        return None

    def close(self) -> None:
        """Ask nobody any more."""
        for connections in self._idle.values():
            self._drop(connections)
        self._idle.clear()

    async def _ask(self, place: int, request: PeerRequest) -> list[Outcome] | None:
        idle = self._idle[place]
        reader, writer = idle.pop() if idle else await self._connect(place)
        try:
            write_request(writer, request)
            await writer.drain()
            answer = await read_answer(reader)
        except BaseException:
            # By this the other worker learns that nobody waits any more.
            writer.close()
            raise
        self._idle[place].append((reader, writer))
        return answer

    async def _connect(self, place: int) -> _Connection:
        return await asyncio.open_unix_connection(str(address(self._folder, place)), limit=BUFFER_BYTES)

    @staticmethod
    def _drop(connections: list[_Connection]) -> None:
        for _, writer in connections:
            writer.close()
