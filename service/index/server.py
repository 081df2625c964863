"""One process of the embedded PostgreSQL: how it is started, told ready, and ended."""

import itertools
import logging
import signal
import subprocess
import threading
import time
from pathlib import Path
from urllib.parse import quote

import psycopg

from service.index.account import SystemUser
from service.index.cluster import SUPERUSER, Cluster, programs, spawn
from service.index.connection import BoundedSyncConnection
from service.index.errors import IndexStartError
from service.system.memory import total_bytes

logger = logging.getLogger(__name__)

# Replaying the log after a crash takes its time; a server that is still at it is not given up.
_START_SECONDS = 300.0
# A server that calls itself ready answers a local client at once.
_REACH_SECONDS = 15.0
_POLL_SECONDS = 0.05
_REMARK_SECONDS = 10.0
# Line of postmaster.pid that says how far the server is.
_STATUS_LINE = 7
_PORT = 5432
# Of the machine's memory, one part in so many.
_BUFFER_SHARE = 8
_LEAST_BUFFER_BYTES = 128 * 2**20
_MOST_BUFFER_BYTES = 4 * 2**30
# How a server is asked to end, ever less politely, and how many seconds each request is given.
_FAREWELLS = ((signal.SIGINT, 30.0), (signal.SIGQUIT, 5.0), (signal.SIGKILL, 5.0))
# Clients get an acknowledgement only when their data is on the disk. The log keeps warnings, and no
# statements, which hold users' data.
_OPTIONS = {
    "listen_addresses": "",
    "port": str(_PORT),
    "unix_socket_permissions": "0700",
    "fsync": "on",
    "full_page_writes": "on",
    "synchronous_commit": "on",
    "log_min_messages": "warning",
    "log_min_error_statement": "panic",
    "log_checkpoints": "off",
    "timezone": "UTC",
}


def _buffer_bytes() -> int:
    """Memory for tables and graphs: a graph without room in it is slow, and what is not used is not taken."""
    return max(_LEAST_BUFFER_BYTES, min(_MOST_BUFFER_BYTES, total_bytes() // _BUFFER_SHARE))


def url_of(sockets: Path) -> str:
    """The connection URL of a server with its socket in this folder."""
    return f"postgresql://{SUPERUSER}@/postgres?host={quote(str(sockets))}"


class ServerProcess:
    """A running `postgres` over one cluster.

    Attributes:
        process: the postmaster.
    """

    def __init__(self, cluster: Cluster, account: SystemUser, sockets: Path, connections: int) -> None:
        """Start the process. Only a thread that no signal interrupts may do this: it would be left alone."""
        self._cluster = cluster
        self._sockets = sockets
        # In quotes, because the option is a list.
        directories = '"' + str(sockets).replace('"', '""') + '"'
        options = {
            **_OPTIONS,
            "unix_socket_directories": directories,
            "max_connections": str(connections),
            "shared_buffers": f"{_buffer_bytes() // 2**20}MB",
            "cluster_name": cluster.name,
        }
        assignments = itertools.chain.from_iterable(
            ("-c", f"{name}={value}") for name, value in options.items()
        )
        with cluster.log.open("ab") as output:
            self._log_start = output.tell()
            self.process = spawn(
                [programs() / "postgres", "-D", cluster.folder, *assignments], account, output=output
            )

    def wait_until_ready(self, stopping: threading.Event) -> None:
        """Wait until clients are answered.

        Raises:
            IndexStartError: it ended, cannot be reached, takes too long, or `stopping` was set. The process
                has ended then.
        """
        try:
            self._wait(stopping)
        except BaseException:
            self.end(_FAREWELLS[1:])
            raise

    def end(self, farewells: tuple[tuple[signal.Signals, float], ...] = _FAREWELLS) -> None:
        """Shut the server down in order; what was acknowledged is safe without it as well."""
        for number, seconds in farewells:
            if self.process.poll() is not None:
                return
            self.process.send_signal(number)
            try:
                self.process.wait(seconds)
            except subprocess.TimeoutExpired:
                logger.warning("PostgreSQL does not end by %s", number.name)

    def _wait(self, stopping: threading.Event) -> None:
        began = time.monotonic()
        remark = began + _REMARK_SECONDS
        ready_since: float | None = None
        while True:
            if self.process.poll() is not None:
                raise IndexStartError(f"PostgreSQL did not start: {self._said()} (see {self._cluster.log})")
            now = time.monotonic()
            if self._says_ready():
                ready_since = ready_since or now
                reason = self._obstacle()
                if reason is None:
                    return
                if now - ready_since > _REACH_SECONDS:
                    raise IndexStartError(
                        f"PostgreSQL runs and cannot be reached in {self._sockets} ({reason}). "
                        "Set TMPDIR to another folder."
                    )
            if now - began > _START_SECONDS:
                raise IndexStartError(
                    f"PostgreSQL is not ready after {_START_SECONDS:.0f} seconds: {self._said()} "
                    f"(see {self._cluster.log})"
                )
            if now > remark:
                remark = now + _REMARK_SECONDS
                logger.info("PostgreSQL is starting for %.0f s: %s", now - began, self._said())
            if stopping.wait(_POLL_SECONDS):
                raise IndexStartError("The start of PostgreSQL was stopped.")

    def _says_ready(self) -> bool:
        """Whether the server's own lock file calls it ready, as pg_ctl looks at it."""
        try:
            lines = (self._cluster.folder / "postmaster.pid").read_text().splitlines()
        except OSError:
            return False
        return len(lines) > _STATUS_LINE and lines[_STATUS_LINE].strip() == "ready"

    def _obstacle(self) -> str | None:
        """Why a client is not answered; None where it is."""
        try:
            BoundedSyncConnection.connect(url_of(self._sockets), connect_timeout=5).close()
        except psycopg.OperationalError as error:
            return str(error).strip()
        return None

    def _said(self) -> str:
        return self._cluster.said(self._log_start)
