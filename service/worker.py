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

from contract.artefact import open_artefact
from contract.card import ModelCard
from contract.errors import ArtefactError, InfomaxError
from service import metrics
from service.app import create_app
from service.connections import ConnectionServer
from service.execution import Placement
from service.line import Report, WorkerEnd
from service.logs import configure_logs
from service.model import Model
from service.runtime import Runtime
from service.settings import Settings

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Job:
    """What every worker of one service does; picklable.

    Attributes:
        folder, card: the model, as the parent found it.
        placement: where it runs.
        database_url: a database that `schema.migrate` has prepared.
    """

    settings: Settings
    folder: Path
    card: ModelCard
    placement: Placement
    database_url: str


def work(job: Job, line: socket.socket) -> None:
    """Serve until the parent says stop, or is gone. The process's main function."""
    _end_with_the_parent()
    configure_logs(job.settings.log_level)
    metrics.READY.set(0)
    end = WorkerEnd(line)
    try:
        runtime = Runtime.load(job.settings, job.database_url, _open_model(job))
        with asyncio.Runner(loop_factory=ConnectionServer.new_event_loop) as runner:
            runner.run(_serve(runtime, end))
    except InfomaxError as error:
        end.tell(Report.FAILED, str(error))
        sys.exit(1)
    except Exception as error:
        logger.exception("the worker failed")
        end.tell(Report.FAILED, f"A worker process failed ({type(error).__name__}: {error}).")
        sys.exit(1)


async def _serve(runtime: Runtime, line: WorkerEnd) -> None:
    app = create_app(runtime)
    server = ConnectionServer(app, runtime, line)
    # Connections are answered while the model warms up: alive, and not ready.
    serving = asyncio.create_task(server.serve())
    async with app.router.lifespan_context(app):
        line.tell(Report.READY, runtime.pipeline.report.summary)
        await serving


def _open_model(job: Job) -> Model:
    artefact = open_artefact(job.folder)
    if artefact.card != job.card:
        # A worker that replaces a dead one would answer with other weights than its neighbours.
        raise ArtefactError(f"{job.folder} was changed while it is served; restart the service.")
    return Model(artefact, job.placement, job.settings.threads_per_run)


def _end_with_the_parent() -> None:
    """End this process at once when the parent is gone, even if its event loop hangs."""

    def wait() -> None:
        parent = multiprocessing.parent_process()
        if parent is not None:
            parent.join()
        os._exit(1)

    threading.Thread(target=wait, name="infomax-parent-watch", daemon=True).start()
