"""Parent process of `infomax serve`: makes what the workers share, and takes it down."""

import logging
import os
import sys
from collections.abc import Callable
from contextlib import ExitStack, closing
from dataclasses import dataclass

from prometheus_client.multiprocess import mark_process_dead

from service import tracing
from service.errors import SettingsError
from service.index.database import CONNECTIONS_PER_PROCESS
from service.index.embedded import EmbeddedPostgres
from service.index.schema import migrate
from service.logs import configure_logs
from service.models.repository import Repository
from service.models.version import examine_served
from service.processes.listening import listen, url_at
from service.processes.metrics_server import MetricsServer
from service.processes.supervisor import Supervisor
from service.processes.worker_start import WorkerArguments, start_worker
from service.quotas.access import keys_and_usage
from service.settings import Settings
from service.system.child import kill_children
from service.system.descriptors import raise_limit
from service.system.run_folder import RunFolder
from service.system.signals import Signals, StopRequested
from service.system.spawning import spawn
from service.work_sharing.load_table import TABLE, LoadTable

logger = logging.getLogger(__name__)

# PostgreSQL's default; more only where many processes need more.
_CONNECTIONS = 100
_CONNECTIONS_BESIDES = 20


@dataclass(frozen=True)
class Serving:
    """Facts about a service that has become ready.

    Attributes:
        url: where it listens.
        models: the served models, each as `name/version`, separated by commas.
        provider: what runs the default model.
        workers: number of worker processes.
    """

    url: str
    models: str
    provider: str
    workers: int


def serve(settings: Settings, on_ready: Callable[[Serving], None]) -> None:
    """Serve until a signal to stop.

    Raises:
        ArtefactError: the model is missing or breaks a rule of the contract.
        KeyFileError: the file of API keys cannot be used.
        IndexStartError: the database cannot be started, reached or prepared.
        SettingsError: the demanded device does not work, or the address cannot be bound.
        TracingError: the exporter of traces is not installed.
        WorkerStartError: a worker failed before the service was ready.
    """
    if sys.platform == "win32":
        raise SettingsError("infomax serve runs on Linux and macOS; on Windows use the container or WSL.")
    if settings.tracing:
        tracing.check_installed()
    configure_logs(settings.log_level)
    raise_limit()
    with Signals() as signals, ExitStack() as stack:
        try:
            supervisor = _prepare(settings, stack, on_ready)
        except StopRequested:
            logger.info("stopped before the service was ready")
            return
        supervisor.run(signals)


def _prepare(settings: Settings, stack: ExitStack, on_ready: Callable[[Serving], None]) -> Supervisor:
    versions = examine_served(settings)
    if guard := keys_and_usage(settings):
        # Each worker opens its own. Here they are only checked, before anything is started.
        guard[1].close()
    listener = stack.enter_context(listen(settings.host, settings.port, "PORT"))
    count = settings.worker_count(on_gpu=any(version.device.on_gpu for version in versions))
    shared = stack.enter_context(RunFolder()).path
    LoadTable.create(shared / TABLE, count)
    metrics_dir = shared / "metrics"
    metrics_dir.mkdir()
    # Before a worker imports the metrics. The parent has imported its own by now, so they stay out of it.
    os.environ["PROMETHEUS_MULTIPROC_DIR"] = str(metrics_dir)
    if settings.metrics_port is not None:
        own = listen(settings.host, settings.metrics_port, "METRICS_PORT")
        stack.enter_context(MetricsServer(own))
        logger.info("metrics are on %s/metrics", url_at(settings.host, own.getsockname()[1]))
    database_url = _database(settings, count, stack)
    repository = stack.enter_context(closing(Repository(settings, versions)))
    # What it examines is needed no more.
    stack.callback(kill_children)
    url = url_at(settings.host, listener.getsockname()[1])

    def arguments() -> WorkerArguments:
        """Return the arguments of a worker that starts now."""
        return WorkerArguments(settings, repository.versions, database_url, shared, count)

    return Supervisor(
        count,
        lambda number, channel: spawn(start_worker, (arguments(), number, channel), "infomax"),
        listener,
        repository,
        settings.drain_seconds,
        on_ready=lambda provider: on_ready(
            Serving(url, ", ".join(version.id for version in versions), provider, count)
        ),
        on_death=lambda pid: mark_process_dead(pid, str(metrics_dir)),  # type: ignore[no-untyped-call]
    )


def _database(settings: Settings, workers: int, stack: ExitStack) -> str:
    """Prepare the database for the workers; return its URL."""
    if settings.database_url is not None:
        url = settings.database_url.get_secret_value()
    else:
        connections = max(_CONNECTIONS, workers * CONNECTIONS_PER_PROCESS + _CONNECTIONS_BESIDES)
        server = EmbeddedPostgres(settings.data_dir, connections)
        # Before it starts: a signal may come between its start and the next line.
        stack.callback(server.stop)
        url = server.start()
    migrate(url)
    return url
