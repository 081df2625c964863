"""The real `infomax serve`, as a process of its own, for tests."""

import os
import re
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from time import monotonic, sleep

import httpx
import orjson
import psutil

ROOT = Path(__file__).parents[2]
_START_SECONDS = 120.0
_END_SECONDS = 60.0
_POLL_SECONDS = 0.05
_READY = re.compile(r"^Infomax serves .+ on (http://\S+) ", re.MULTILINE)
_COMMAND = (str(Path(sys.executable).parent / "infomax"), "serve")
# As users run it: without what a developer's shell may set.
_KEPT = ("PATH", "HOME", "LANG", "TMPDIR", "LD_LIBRARY_PATH")


class Server:
    """A process of `infomax serve` that has been started.

    Attributes:
        process: the parent process.
        url: where it listens; empty until it is ready.
    """

    def __init__(self, models: Path, folder: Path, /, **settings: object) -> None:
        """Start it on a free port.

        Args:
            models: folder of models; the model is `tiny` unless `model` says otherwise.
            folder: keeps the output, and the index unless `data_dir` or `database_url` says otherwise; a
                server started on the folder of another finds what that one has stored.
            settings: settings by their names in `service.settings.Settings`.
        """
        chosen = {
            "models_dir": models,
            "model": "tiny",
            "device": "cpu",
            "port": 0,
            "data_dir": folder / "data",
            **settings,
        }
        environment = {name: os.environ[name] for name in _KEPT if name in os.environ}
        environment |= {f"INFOMAX_{name.upper()}": str(value) for name, value in chosen.items()}
        self._start(_COMMAND, folder, ROOT, environment)

    @classmethod
    def of(cls, command: Sequence[str], folder: Path, cwd: Path, environment: Mapping[str, str]) -> "Server":
        """Start it by a command of the caller's, in a folder and with variables of the caller's."""
        server = cls.__new__(cls)
        server._start(command, folder, cwd, environment)
        return server

    def _start(self, command: Sequence[str], folder: Path, cwd: Path, environment: Mapping[str, str]) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._out, self._log = folder / "server.out", folder / "server.log"
        self.url = ""
        with self._out.open("wb") as out, self._log.open("wb") as log:
            self.process = subprocess.Popen(command, cwd=cwd, env=environment, stdout=out, stderr=log)

    @property
    def pid(self) -> int:
        return self.process.pid

    @property
    def output(self) -> str:
        """What it printed for people."""
        return self._out.read_text()

    @property
    def log(self) -> str:
        """What it wrote to standard error."""
        return self._log.read_text()

    def records(self) -> list[dict[str, object]]:
        """Its log, line by line."""
        return [orjson.loads(line) for line in self.log.splitlines() if line.startswith("{")]

    def workers(self) -> list[psutil.Process]:
        """Its worker processes that run now."""
        return [child for child in psutil.Process(self.pid).children() if _is_worker(child)]

    def wait_until_ready(self, seconds: float = _START_SECONDS) -> "Server":
        """Wait until it says that it is ready, and its /readyz says so too."""
        wait_for(self._has_announced, self, seconds)
        wait_for(self.is_ready, self, seconds)
        return self

    def is_ready(self) -> bool:
        """Whether /readyz answers 200 now."""
        try:
            return httpx.get(f"{self.url}/readyz").status_code == 200
        except httpx.TransportError:
            return False

    def terminate(self) -> int:
        """Ask it to end in order and wait for that; the exit status."""
        self.process.send_signal(signal.SIGTERM)
        return self.wait()

    def kill(self) -> None:
        """End the parent with no warning, and wait until all of its workers are gone too."""
        workers = self.workers()
        self.process.kill()
        self.process.wait()
        _, alive = psutil.wait_procs(workers, timeout=_END_SECONDS)
        assert not alive, f"workers outlived their parent: {alive}"

    def wait(self) -> int:
        """Wait for its end; the exit status."""
        return self.process.wait(_END_SECONDS)

    def clean_up(self) -> None:
        """End whatever still runs."""
        if self.process.poll() is not None:
            return
        self.process.send_signal(signal.SIGTERM)
        try:
            self.wait()
        except subprocess.TimeoutExpired:
            self.process.kill()
            raise

    def describe(self) -> str:
        """Its state and output, for the message of a failing test."""
        return f"exit status {self.process.poll()}\n{self.output}\n{self.log}"

    def _has_announced(self) -> bool:
        assert self.process.poll() is None, f"it ended before it was ready; {self.describe()}"
        found = _READY.search(self.output)
        self.url = found[1] if found else ""
        return bool(found)


@contextmanager
def started(models: Path, folder: Path, /, **settings: object) -> Iterator[Server]:
    """A server that was started, ready or not; ended when the block ends."""
    server = Server(models, folder, **settings)
    try:
        yield server
    finally:
        server.clean_up()


@contextmanager
def serving(models: Path, folder: Path, /, **settings: object) -> Iterator[Server]:
    """A server that is ready; ended when the block ends."""
    with started(models, folder, **settings) as server:
        yield server.wait_until_ready()


def wait_for(condition: Callable[[], bool], server: Server, seconds: float = _START_SECONDS) -> None:
    """Wait until something is so; fail with the server's output if that does not come in time."""
    deadline = monotonic() + seconds
    while not condition():
        assert monotonic() < deadline, f"it never came; {server.describe()}"
        sleep(_POLL_SECONDS)


def _is_worker(process: psutil.Process) -> bool:
    with suppress(psutil.NoSuchProcess):
        return any("spawn_main" in part for part in process.cmdline())
    return False


def store_samples(server: Server) -> None:
    """Store the page's sample photographs."""
    samples = (ROOT / "service" / "page" / "samples.ndjson").read_bytes()
    headers = {"content-type": "application/x-ndjson"}
    answer = httpx.post(f"{server.url}/v1/items", content=samples, headers=headers, timeout=60)
    assert answer.status_code == 200
