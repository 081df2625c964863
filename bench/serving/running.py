"""Process of a server, from its start to the end of all its children."""

import os
import signal
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from time import monotonic, sleep

import psutil

from bench.serving.contenders import Contender
from bench.serving.exchange import RefusedError, exchange
from bench.serving.model import BenchModel

_START_SECONDS = 90.0
_END_SECONDS = 30.0
_POLL_SECONDS = 0.1
_LOG_SHOWN = 300


class ServerError(Exception):
    """A server cannot be measured; the message is the reason."""


class Running:
    """Running server.

    Attributes:
        port: its port on 127.0.0.1.
        pid: process id of the process that was started.
    """

    def __init__(self, process: subprocess.Popen[bytes], port: int) -> None:
        self.port = port
        self.pid = process.pid
        self._process = psutil.Process(process.pid)

    def cpu_seconds(self) -> float:
        """Read the core seconds of the server and its living descendants since their start."""
        family = [self._process, *self._process.children(recursive=True)]
        return sum(_cpu_seconds(member) for member in family)

    def memory_bytes(self) -> int:
        """Read the resident memory of the server and its descendants; shared pages count for each."""
        family = [self._process, *self._process.children(recursive=True)]
        return sum(_memory(member) for member in family)

    def shared_out(self) -> int:
        """Read the same memory with shared pages divided among the processes that share them (PSS)."""
        family = [self._process, *self._process.children(recursive=True)]
        return sum(_proportional_memory(member) for member in family)


@contextmanager
def running(contender: Contender, model: BenchModel, probe: bytes) -> Iterator[Running]:
    """Start a server, wait until it answers `probe` (a whole request), and end it afterwards.

    Raises:
        ServerError: the server ended, or did not answer in time; the message has the end of its log.
    """
    port = _free_port()
    with tempfile.TemporaryDirectory(prefix="infomax-bench-") as folder:
        log = Path(folder) / "log"
        with log.open("wb") as output:
            process = subprocess.Popen(
                contender.arguments(port),
                cwd=folder,
                env=contender.variables(port, model),
                stdout=output,
                stderr=subprocess.STDOUT,
                # A session of its own, so that all its processes can be ended, and Ctrl-C does not reach
                # them.
                start_new_session=True,
            )
        try:
            _wait_until_answered(process, port, probe, log)
            yield Running(process, port)
        finally:
            _end(process)


def _wait_until_answered(process: subprocess.Popen[bytes], port: int, probe: bytes, log: Path) -> None:
    deadline = monotonic() + _START_SECONDS
    reason = "it never accepted a connection"
    while monotonic() < deadline:
        if process.poll() is not None:
            reason = f"it ended with status {process.returncode}"
            break
        try:
            exchange(port, probe)
        except (OSError, RefusedError) as error:
            reason = str(error)
        else:
            return
        sleep(_POLL_SECONDS)
    lines = [line for line in log.read_text(errors="replace").splitlines() if line.strip()] or ["nothing"]
    raise ServerError(f"{reason}; the last line of its log: {lines[-1].strip()[:_LOG_SHOWN]}")


def _end(process: subprocess.Popen[bytes]) -> None:
    with suppress(ProcessLookupError):
        process.send_signal(signal.SIGTERM)
    with suppress(subprocess.TimeoutExpired):
        process.wait(_END_SECONDS)
    # Processes that did not end with it; the group was made for it above.
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait(_END_SECONDS)


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port: int = listener.getsockname()[1]
        return port


def _cpu_seconds(process: psutil.Process) -> float:
    with suppress(psutil.NoSuchProcess):
        times = process.cpu_times()
        return float(times.user + times.system)
    return 0.0


def _proportional_memory(process: psutil.Process) -> int:
    with suppress(psutil.NoSuchProcess):
        return int(process.memory_full_info().pss)
    return 0


def _memory(process: psutil.Process) -> int:
    with suppress(psutil.NoSuchProcess):
        return int(process.memory_info().rss)
    return 0
