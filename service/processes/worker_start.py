"""Start of a worker process: what the parent knows of it without loading what a worker needs."""

import socket
from dataclasses import dataclass
from pathlib import Path

from service.models.version import Version
from service.settings import Settings
from service.system import gc_tuning


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


def start_worker(arguments: WorkerArguments, number: int, channel: socket.socket) -> None:
    """Run a worker; the main function of its process."""
    gc_tuning.postpone()
    # In the worker alone: the application is half of the parent's memory otherwise.
    from service.processes.worker import run_worker

    run_worker(arguments, number, channel)
