"""The parent of the workers: accepts connections for them, replaces those that die, ends them in order.

The parent accepts, and gives each connection to the ready worker that has the fewest. With a socket that
the workers share (or one SO_REUSEPORT socket for each) the kernel deals connections out, once and for their
whole life: of two keep-alive connections both go to the same worker half of the time, of a burst the worker
that wakes first takes all. Here two connections are two workers. It also means that no connection waits in
the queue of a worker that died, that a worker is given none before it is warm, and that there is somebody to
answer a load balancer while the service drains.
"""

import logging
import selectors
import signal
import socket
from collections.abc import Callable
from dataclasses import dataclass, field
from multiprocessing.context import SpawnProcess
from time import monotonic

from contract.errors import InfomaxError
from service.models.repository import Repository
from service.models.rollout import RolloutWorker
from service.system.channel import Message, ParentEnd, Report
from service.system.signals import Signals

logger = logging.getLogger(__name__)

# Above the time that a drain may take: for threads to end and connections to close.
_MARGIN_SECONDS = 15.0
_FIRST_DELAY = 1.0
_LONGEST_DELAY = 30.0
# A worker that was ready for so long did not die of what it died of at the start.
_CALM_SECONDS = 60.0
_RETRY_SECONDS = 0.05
_DEAF_SECONDS = 1.0
# How often a load that is under way is looked at, should nothing else happen.
_LOOK_SECONDS = 1.0

Spawn = Callable[[int, socket.socket], SpawnProcess]
"""Starts a worker at a place, from 0, and at the other end of the line that it is given."""


class WorkerStartError(InfomaxError):
    """A worker cannot serve, and says why."""


@dataclass(eq=False)
class _Worker:
    """A running worker.

    Attributes:
        handed, ended: connections given to it, and those of them that it has reported as ended.
        serving, ready_since: how far it is.
        follower: how far it is with new model versions.
        outdated: it was starting with a version that another has replaced, and is ended for that.
        reason: why it failed, by its own word.
    """

    place: "_Place"
    process: SpawnProcess
    channel: ParentEnd
    rollout_worker: RolloutWorker
    handed: int = 0
    ended: int = 0
    serving: bool = False
    ready_since: float | None = None
    outdated: bool = False
    reason: str = ""

    @property
    def connections(self) -> int:
        return self.handed - self.ended


@dataclass(eq=False)
class _Place:
    """One of the places for workers; `worker` is None while it waits to be filled again at `due`."""

    number: int
    worker: _Worker | None = None
    due: float = 0.0
    deaths: int = field(default=0)


class Supervisor:
    """Runs a fixed number of workers behind one listening socket, in the calling thread."""

    def __init__(
        self,
        count: int,
        spawn: Spawn,
        listener: socket.socket,
        repository: Repository,
        drain_seconds: float,
        on_ready: Callable[[str], None],
        on_death: Callable[[int], None],
    ) -> None:
        """`on_ready` is called once, with what runs the model; `on_death` with every ended worker's pid."""
        self._spawn = spawn
        self._listener = listener
        self._repository = repository
        self._drain_seconds = drain_seconds
        self._on_ready = on_ready
        self._on_death = on_death
        self._places = [_Place(number) for number in range(count)]
        self._selector = selectors.DefaultSelector()
        self._waiting: socket.socket | None = None
        self._deaf_until = 0.0
        self._reloads = 0
        self._announced = False
        self._failure: WorkerStartError | None = None
        self._deadline: float | None = None

    def run(self, signals: Signals) -> None:
        """Serve until a signal says stop, then end in order; at once when a second one comes.

        Raises:
            WorkerStartError: a worker failed before all were ready for the first time.
        """
        signals.wait_for_them()
        self._listener.setblocking(False)
        self._selector.register(signals, selectors.EVENT_READ, signals.drain)
        self._selector.register(self._repository, selectors.EVENT_READ, self._repository.drain)
        try:
            while True:
                self._obey(signals.stops)
                if self._deadline is not None and not self._workers():
                    break
                self._fill_places()
                self._change_versions(signals.reloads)
                deaf = monotonic() < self._deaf_until
                self._listen(not deaf and self._waiting is None and self._candidates() != [])
                for key, _ in self._selector.select(self._patience()):
                    key.data()
                if self._waiting is not None:
                    self._hand_over(self._waiting)
        finally:
            self._kill_all()
            self._selector.close()
            if self._waiting is not None:
                self._waiting.close()
        if self._failure is not None:
            raise self._failure

    def _workers(self) -> list[_Worker]:
        return [place.worker for place in self._places if place.worker is not None]

    def _candidates(self) -> list[_Worker]:
        """Who may be given a connection: ready workers, those with fewest connections first.

        Of equals the one that was given fewest so far. Where none is ready, those that can say so.
        """
        serving = [worker for worker in self._workers() if worker.serving and not worker.channel.closed]
        ready = [worker for worker in serving if worker.ready_since is not None]
        return sorted(ready or serving, key=lambda worker: (worker.connections, worker.handed))

    def _obey(self, signals: int) -> None:
        if signals > 0 and self._deadline is None:
            logger.info("stopping: accepted work has %g seconds to finish", self._drain_seconds)
            self._end()
        overdue = self._deadline is not None and monotonic() > self._deadline
        if signals > 1 or overdue:
            self._kill_all()

    def _end(self) -> None:
        """Ask the workers to end, and start no more."""
        self._deadline = monotonic() + self._drain_seconds + _MARGIN_SECONDS
        for worker in self._workers():
            # One that is not warm has accepted nothing.
            if worker.ready_since is None or not worker.channel.ask_to_stop():
                worker.process.kill()

    def _change_versions(self, reloads: int) -> None:
        if self._deadline is not None or not self._announced:
            return
        if reloads > self._reloads:
            self._reloads = reloads
            self._repository.reload()
        self._repository.advance([worker.rollout_worker for worker in self._workers()])
        for worker in self._workers():
            if worker.rollout_worker.edition != self._repository.edition and not worker.outdated:
                # It became ready for nothing yet; the next one begins with the new version.
                worker.outdated = True
                worker.process.kill()

    def _fill_places(self) -> None:
        if self._deadline is not None:
            return
        for place in self._places:
            if place.worker is None and place.due <= monotonic():
                self._start(place)

    def _start(self, place: _Place) -> None:
        ours, theirs = socket.socketpair()
        with theirs:
            process = self._spawn(place.number, theirs)
        channel = ParentEnd(ours)
        worker = _Worker(place, process, channel, RolloutWorker(channel, self._repository.edition))
        place.worker = worker
        self._selector.register(worker.channel, selectors.EVENT_READ, lambda: self._hear(worker))
        self._selector.register(process.sentinel, selectors.EVENT_READ, lambda: self._bury(worker))

    def _hear(self, worker: _Worker) -> None:
        if worker.place.worker is not worker:
            # Buried a moment ago, by an event of the same batch.
            return
        for message in worker.channel.messages():
            self._note(worker, message)
        if worker.channel.closed:
            # It is about to end; its sentinel will say when.
            self._selector.unregister(worker.channel)

    def _note(self, worker: _Worker, message: Message) -> None:
        if message.report is Report.SERVING:
            worker.serving = True
        elif message.report is Report.ENDED:
            worker.ended = int(message.text)
        elif message.report is Report.FAILED:
            worker.reason = message.text
        elif message.report is Report.LOAD_REQUEST:
            self._repository.load_request(worker.rollout_worker, message.text)
        elif message.report is Report.PREPARED:
            worker.rollout_worker.prepared = int(message.text)
        elif message.report is Report.REFUSED:
            worker.rollout_worker.note_refusal(message.text)
        elif message.report is Report.ACTIVATED:
            worker.rollout_worker.activated = int(message.text)
        elif message.report is Report.READY:
            worker.ready_since = monotonic()
            worker.rollout_worker.ready = True
            logger.info("worker %d is ready, pid %d", worker.place.number, worker.process.pid)
            if not self._announced and all(
                place.worker is not None and place.worker.ready_since is not None for place in self._places
            ):
                self._announced = True
                self._on_ready(message.text)

    def _bury(self, worker: _Worker) -> None:
        """A worker's process has ended: note why, and when its place is filled again."""
        if not worker.channel.closed:
            self._hear(worker)
        if not worker.channel.closed:
            self._selector.unregister(worker.channel)
        self._selector.unregister(worker.process.sentinel)
        worker.process.join()
        worker.channel.close()
        pid, code = worker.process.pid, worker.process.exitcode
        assert pid is not None  # noqa: S101 (it was started)
        assert code is not None  # noqa: S101 (it was joined)
        worker.process.close()
        self._on_death(pid)
        place = worker.place
        place.worker = None
        if self._deadline is not None:
            return
        if worker.outdated:
            place.due = monotonic()
            return
        reason = worker.reason or f"A worker process ended unexpectedly ({_how(code)})."
        if not self._announced:
            self._failure = WorkerStartError(reason)
            self._end()
            return
        lived = monotonic() - (worker.ready_since or monotonic())
        place.deaths = 1 if lived > _CALM_SECONDS else place.deaths + 1
        delay = 0.0 if place.deaths == 1 else min(_LONGEST_DELAY, _FIRST_DELAY * 2 ** (place.deaths - 2))
        place.due = monotonic() + delay
        logger.error("worker %d, pid %d: %s Replacing it in %g s.", place.number, pid, reason, delay)

    def _accept(self) -> None:
        try:
            connection, _ = self._listener.accept()
        except (BlockingIOError, ConnectionError):
            return
        except OSError as error:
            # Out of descriptors or memory: the connection stays in the kernel's queue.
            logger.error("a connection cannot be accepted: %s", error)
            self._deaf_until = monotonic() + _DEAF_SECONDS
            return
        self._hand_over(connection)

    def _hand_over(self, connection: socket.socket) -> None:
        """Give a connection away, or keep it until somebody has room."""
        for worker in self._candidates():
            if worker.channel.hand_over(connection):
                worker.handed += 1
                connection.close()
                self._waiting = None
                return
        self._waiting = connection

    def _listen(self, wanted: bool) -> None:
        listening = self._listener in self._selector.get_map()
        if wanted and not listening:
            self._selector.register(self._listener, selectors.EVENT_READ, self._accept)
        elif listening and not wanted:
            self._selector.unregister(self._listener)

    def _patience(self) -> float | None:
        """How long nothing may happen until there is something to do, in seconds."""
        now = monotonic()
        # Every one of them is tried.
        sent = [worker.channel.flush() for worker in self._workers()]
        if self._waiting is not None or not all(sent):
            return _RETRY_SECONDS
        if now < self._deaf_until:
            return self._deaf_until - now
        if self._deadline is not None:
            return max(0.0, self._deadline - now) + _RETRY_SECONDS
        due = [place.due for place in self._places if place.worker is None]
        if self._repository.busy:
            due.append(now + _LOOK_SECONDS)
        return max(0.0, min(due) - now) if due else None

    def _kill_all(self) -> None:
        for worker in self._workers():
            worker.process.kill()


def _how(code: int) -> str:
    """How a process ended, by its exit code as multiprocessing gives it."""
    if code >= 0:
        return f"exit status {code}; its log says why"
    name = signal.Signals(-code).name
    return f"killed by {name}" + ("; is there enough memory?" if name == "SIGKILL" else "")
