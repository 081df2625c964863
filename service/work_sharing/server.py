"""Server of a worker for its peers: answers the chunks that `service.work_sharing.client` sends."""

import asyncio
import logging
from pathlib import Path
from typing import Protocol

from service.errors import ServiceError
from service.inference.peers import PeerRequest
from service.inference.pipeline import Pipeline
from service.inference.results import Outcome
from service.system.race import Superseded, unless
from service.work_sharing.client import BUFFER_BYTES
from service.work_sharing.protocol import read_request, write_answer

logger = logging.getLogger(__name__)


class Pipelines(Protocol):
    """Pipelines of the served models."""

    def pipeline(self, key: str) -> Pipeline | None:
        """Return the pipeline with that key; None where no such pipeline is served."""


class PeerServer:
    """Server on a Unix socket. All methods belong to one event loop."""

    def __init__(self, pipelines: Pipelines, socket: Path) -> None:
        self._pipelines = pipelines
        self._socket = socket
        self._server: asyncio.Server | None = None
        self._writers: set[asyncio.StreamWriter] = set()

    async def start(self) -> None:
        """Begin to listen; the socket of a dead worker before this one is removed."""
        self._socket.unlink(missing_ok=True)
        self._server = await asyncio.start_unix_server(self._serve, str(self._socket), limit=BUFFER_BYTES)

    def stop(self) -> None:
        """Answer no more; peers that wait answer their requests themselves."""
        if self._server is not None:
            self._server.close()
        for writer in self._writers:
            writer.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._writers.add(writer)
        try:
            while (request := await read_request(reader)) is not None:
                write_answer(writer, await self._answer_while_asked(request, reader))
                await writer.drain()
        except (OSError, asyncio.IncompleteReadError):
            # The peer died.
            pass
        finally:
            self._writers.discard(writer)
            writer.close()

    async def _answer_while_asked(
        self, request: PeerRequest, reader: asyncio.StreamReader
    ) -> list[Outcome] | None:
        """Return the answer; cancel it where the peer closes the connection."""
        try:
            return await unless(lambda: reader.read(1), self._answer(request))
        except Superseded:
            raise asyncio.IncompleteReadError(b"", 1) from None

    async def _answer(self, request: PeerRequest) -> list[Outcome] | None:
        """Return the outcomes; None where this worker cannot answer, so that the peer does."""
        try:
            pipeline = self._pipelines.pipeline(request.model)
            return None if pipeline is None else await pipeline.help(request.images, request.want)
        except ServiceError as refusal:
            logger.info("a peer was refused: %s", refusal)
            return None
