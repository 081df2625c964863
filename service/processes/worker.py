"""Worker process: the application behind uvicorn, on connections that the parent accepts."""

import asyncio
import logging
import socket
import sys

from contract.errors import InfomaxError
from service import metrics, tracing
from service.app import create_app
from service.http.server import ConnectionServer
from service.inference.peers import NO_PEERS, Peers
from service.logs import configure_logs
from service.models.opening import open_version
from service.models.worker_agent import WorkerAgent
from service.processes.worker_start import WorkerArguments
from service.runtime import Runtime
from service.system import gc_tuning, malloc
from service.system.channel import Report, WorkerEnd
from service.system.spawning import end_with_parent
from service.work_sharing.client import PeerClient, address
from service.work_sharing.load_table import TABLE, LoadTable
from service.work_sharing.server import PeerServer

logger = logging.getLogger(__name__)


def run_worker(arguments: WorkerArguments, number: int, channel: socket.socket) -> None:
    """Serve until the parent orders the stop, or is gone; the main function of worker `number`."""
    malloc.keep_small()
    end_with_parent()
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
