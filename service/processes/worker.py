"""Worker process: the application behind uvicorn, on connections that the parent accepts."""

import asyncio
import logging
import multiprocessing
import os
import socket
import sys
import threading
from dataclasses import dataclass
from pathlib import Path

from contract.errors import InfomaxError
from service import metrics, tracing
from service.app import create_app
from service.http.server import ConnectionServer
from service.inference.peers import NO_PEERS, Peers
from service.logs import configure_logs
from service.models.version import Version, open_version
from service.models.worker_agent import WorkerAgent
from service.runtime import Runtime
from service.settings import Settings
from service.system import gc_tuning, malloc
from service.system.channel import Report, WorkerEnd
from service.work_sharing.client import PeerClient, address
from service.work_sharing.load_table import TABLE, LoadTable
from service.work_sharing.server import PeerServer

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class WorkerArguments:
    """Arguments of every worker of one service; picklable.

    Attributes:
        settings: settings of the service.
        versions: the versions to serve, as the parent found them, the default one first.
        database_url: a database that `schema.migrate` has prepared.
        shared: folder of the load table and of the workers' sockets.
        workers: number of workers.
    """

    settings: Settings
    versions: tuple[Version, ...]
    database_url: str
    shared: Path
    workers: int


def run_worker(arguments: WorkerArguments, number: int, channel: socket.socket) -> None:
    """Serve until the parent orders the stop, or is gone; the main function of worker `number`."""
    malloc.keep_small()
    _end_with_the_parent()
    configure_logs(arguments.settings.log_level)
    metrics.READY.set(0)
    end = WorkerEnd(channel)
    try:
        if arguments.settings.tracing:
            tracing.start(number)
        models = {version.entry: open_version(version, arguments.settings) for version in arguments.versions}
        peers = peers_of(arguments, number)
        runtime = Runtime.load(arguments.settings, arguments.database_url, models, peers)
        peer_server = PeerServer(runtime.models, address(arguments.shared, number))
        with asyncio.Runner(loop_factory=ConnectionServer.new_event_loop) as runner:
            runner.run(_serve(runtime, peer_server, end))
    except InfomaxError as error:
        end.tell(Report.FAILED, str(error))
        sys.exit(1)
    except Exception as error:
        logger.exception("the worker failed")
        end.tell(Report.FAILED, f"A worker process failed ({type(error).__name__}: {error}).")
        sys.exit(1)
    finally:
        tracing.stop()


def peers_of(arguments: WorkerArguments, number: int) -> Peers:
    """Open the way to the other workers; there are none for a worker that is to answer its streams alone."""
    if not arguments.settings.work_sharing:
        return NO_PEERS
    return PeerClient(arguments.shared, LoadTable.open(arguments.shared / TABLE, number, arguments.workers))


async def _serve(runtime: Runtime, peer_server: PeerServer, channel: WorkerEnd) -> None:
    app = create_app(runtime)
    settings = runtime.settings
    agent = WorkerAgent(settings, runtime.models, runtime.load_requests, channel)
    server = ConnectionServer(app, channel, agent, runtime.drain, settings.client_seconds)
    # Connections are answered during the warm-up: the worker is alive, and not ready.
    serving = asyncio.create_task(server.serve())
    async with app.router.lifespan_context(app):
        gc_tuning.settle()
        await peer_server.start()
        upkeep = asyncio.create_task(malloc.keep_giving_back())
        channel.tell(Report.READY, runtime.models.default.pipeline.report.summary)
        try:
            await serving
        finally:
            upkeep.cancel()
            peer_server.stop()


def _end_with_the_parent() -> None:
    """End this process as soon as the parent is gone, even where the event loop hangs."""

    def wait() -> None:
        parent = multiprocessing.parent_process()
        if parent is not None:
            parent.join()
        os._exit(1)

    threading.Thread(target=wait, name="infomax-parent-watch", daemon=True).start()
