"""Client of the idle peers: sends them chunks of this worker's streams and returns their answers.

A connection belongs to one worker, and the interpreter lock binds a Python process to little more than one
core. Without peers, one client's stream would use one core while the others are idle.
"""

import asyncio
import logging
from collections import defaultdict
from pathlib import Path

from service import tracing
from service.inference.peers import PeerRequest
from service.inference.results import Outcome
from service.work_sharing.load_table import LoadTable
from service.work_sharing.protocol import read_answer, write_request

logger = logging.getLogger(__name__)

BUFFER_BYTES = 2**20
"""Size of a reader's buffer: holds a chunk of small images, or their answers."""

# Longer than any chunk takes.
_ANSWER_SECONDS = 30.0
# A peer that hangs delays a stream once, and not with every chunk.
_SUSPENDED_SECONDS = 300.0

_Streams = tuple[asyncio.StreamReader, asyncio.StreamWriter]


def address(folder: Path, number: int) -> Path:
    """Return the socket on which a worker answers its peers."""
    return folder / f"{number}.sock"


class PeerClient:
    """Connections of one worker to its peers; implements `service.inference.peers.Peers`.

    All methods belong to one event loop. The caller has to be able to answer a request itself.
    """

    def __init__(self, folder: Path, table: LoadTable) -> None:
        """Connect to no peer yet; `folder` holds the sockets."""
        self._folder = folder
        self._table = table
        self._idle: defaultdict[int, list[_Streams]] = defaultdict(list)
        # Peers that are not asked, and until when by the event loop's clock.
        self._suspended: dict[int, float] = {}

    def count_busy(self, change: int) -> None:
        """Count the models of this worker that hold calls: `change` is 1 or -1."""
        self._table.count_busy(change)

    async def answer(self, request: PeerRequest, own: int) -> list[Outcome] | None:
        """Return one outcome for each image, or None where no peer is idle or the peer was lost.

        `own` is the number of such requests that this worker answers itself; a peer is given no more.
        """
        now = asyncio.get_running_loop().time()
        self._suspended = {peer: until for peer, until in self._suspended.items() if until > now}
        peer = self._table.borrow(own, without=self._suspended)
        if peer is None:
            return None
        try:
            async with asyncio.timeout(_ANSWER_SECONDS):
                with tracing.call("peer", {"infomax.worker": peer, "infomax.images": len(request.images)}):
                    return await self._ask(peer, request)
        except TimeoutError:
            logger.warning(
                "worker %d has not answered a peer in %.0f s; it is not asked again for %.0f s",
                peer,
                _ANSWER_SECONDS,
                _SUSPENDED_SECONDS,
            )
            self._suspended[peer] = now + _SUSPENDED_SECONDS
        except (OSError, asyncio.IncompleteReadError) as error:
            # It died, or has not started to listen.
            logger.info("worker %d has not answered a peer: %s", peer, error)
        finally:
            self._table.give_back(peer)
        self._drop(self._idle.pop(peer, []))
        return None

    def close(self) -> None:
        """Close the connections to the peers."""
        for connections in self._idle.values():
            self._drop(connections)
        self._idle.clear()

    async def _ask(self, peer: int, request: PeerRequest) -> list[Outcome] | None:
        idle = self._idle[peer]
        reader, writer = idle.pop() if idle else await self._connect(peer)
        try:
            write_request(writer, request)
            await writer.drain()
            answer = await read_answer(reader)
        except BaseException:
            # The closed connection tells the peer that its answer is not wanted any more.
            writer.close()
            raise
        self._idle[peer].append((reader, writer))
        return answer

    async def _connect(self, peer: int) -> _Streams:
        return await asyncio.open_unix_connection(str(address(self._folder, peer)), limit=BUFFER_BYTES)

    @staticmethod
    def _drop(connections: list[_Streams]) -> None:
        for _, writer in connections:
            writer.close()
