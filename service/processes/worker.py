"""One worker process: the application behind uvicorn, on connections that the parent accepts."""

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
from service import metrics
from service.app import create_app
from service.http.server import ConnectionServer
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
class Job:
    """What every worker of one service does; picklable.

    Attributes:
        versions: the models to serve, as the parent found them, the default one first.
        database_url: a database that `schema.migrate` has prepared.
        shared: folder by which the workers help one another.
        workers: how many there are.
    """

    settings: Settings
    versions: tuple[Version, ...]
    database_url: str
    shared: Path
    workers: int


def work(job: Job, place: int, channel: socket.socket) -> None:
    """Serve until the parent says stop, or is gone. The main function of the process at that place."""
    malloc.keep_small()
    _end_with_the_parent()
    configure_logs(job.settings.log_level)
    metrics.READY.set(0)
    end = WorkerEnd(channel)
    try:
        models = {version.entry: open_version(version, job.settings) for version in job.versions}
        table = LoadTable.open(job.shared / TABLE, place, job.workers)
        runtime = Runtime.load(job.settings, job.database_url, models, PeerClient(job.shared, table))
        peer_server = PeerServer(runtime.models, address(job.shared, place))
        with asyncio.Runner(loop_factory=ConnectionServer.new_event_loop) as runner:
            runner.run(_serve(runtime, peer_server, end))
    except InfomaxError as error:
        end.tell(Report.FAILED, str(error))
        sys.exit(1)
    except Exception as error:
        logger.exception("the worker failed")
        end.tell(Report.FAILED, f"A worker process failed ({type(error).__name__}: {error}).")
        sys.exit(1)


async def _serve(runtime: Runtime, peer_server: PeerServer, channel: WorkerEnd) -> None:
    app = create_app(runtime)
    settings = runtime.settings
    agent = WorkerAgent(settings, runtime.models, runtime.load_requests, channel)
    server = ConnectionServer(app, channel, agent, runtime.drain, settings.client_seconds)
    # Connections are answered while the model warms up: alive, and not ready.
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
    """End this process at once when the parent is gone, even if its event loop hangs."""

    def wait() -> None:
        parent = multiprocessing.parent_process()
        if parent is not None:
            parent.join()
        os._exit(1)

    threading.Thread(target=wait, name="infomax-parent-watch", daemon=True).start()
