"""Supervisor of the workers: starts them, replaces dead ones, rolls out model versions, drains."""

import logging
import selectors
import socket
from collections.abc import Callable
from multiprocessing.context import SpawnProcess
from time import monotonic

from contract.errors import InfomaxError
from service.models.messages import LoadRequest, read_worker_message
from service.models.repository import Repository
from service.models.rollout import RolloutWorker
from service.processes.dispatcher import Dispatcher
from service.processes.worker_process import Slot, WorkerProcess, candidates
from service.system.channel import ParentEnd, Report, ReportLine
from service.system.signals import Signals
from service.system.spawning import describe_exit

logger = logging.getLogger(__name__)

# Above the time that a drain may take: for threads to end and connections to close.
_MARGIN_SECONDS = 15.0
_RETRY_SECONDS = 0.05
_RETRY_START_SECONDS = 1.0
# How often a rollout's deadline is checked where nothing else happens.
_ROLLOUT_SECONDS = 1.0

Spawn = Callable[[int, socket.socket], SpawnProcess]
"""Starts the worker of a slot, counted from 0, at the other end of the channel."""


class WorkerStartError(InfomaxError):
    """A worker cannot serve; the message is its reason."""


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
        """Start nothing yet.

        Args:
            count: number of workers.
            spawn: starts one.
            listener: the listening socket.
            repository: the model versions.
            drain_seconds: how long accepted calls may take to finish after the signal to stop.
            on_ready: called once, with the name of what runs the model.
            on_death: called with the process id of every worker that has ended.
        """
        self._spawn = spawn
        self._repository = repository
        self._drain_seconds = drain_seconds
        self._on_ready = on_ready
        self._on_death = on_death
        self._slots = [Slot(number) for number in range(count)]
        self._selector = selectors.DefaultSelector()
        self._dispatcher = Dispatcher(listener, self._selector, lambda: candidates(self._workers()))
        self._reloads = 0
        self._announced = False
        self._failure: WorkerStartError | None = None
        self._deadline: float | None = None

    def run(self, signals: Signals) -> None:
        """Serve until a signal to stop, then drain; end at once at a second signal.

        Raises:
            WorkerStartError: a worker failed before all were ready for the first time.
        """
        signals.wait_for_them()
        self._selector.register(signals, selectors.EVENT_READ, signals.drain)
        self._selector.register(self._repository, selectors.EVENT_READ, self._repository.drain)
        try:
            while True:
                self._handle_signals(signals.stops)
                if self._deadline is not None and not self._workers():
                    break
                self._fill_slots()
                self._advance_versions(signals.reloads)
                self._dispatcher.listen()
                for key, _ in self._selector.select(self._timeout()):
                    key.data()
                self._dispatcher.retry()
        finally:
            self._kill_all()
            self._selector.close()
            self._dispatcher.close()
        if self._failure is not None:
            raise self._failure

    def _workers(self) -> list[WorkerProcess]:
        return [slot.worker for slot in self._slots if slot.worker is not None]

    def _handle_signals(self, stops: int) -> None:
        if stops > 0 and self._deadline is None:
            logger.info("stopping: accepted calls have %g seconds to finish", self._drain_seconds)
            self._stop()
        overdue = self._deadline is not None and monotonic() > self._deadline
        if stops > 1 or overdue:
            self._kill_all()

    def _stop(self) -> None:
        """Ask the workers to end, and start no more."""
        self._deadline = monotonic() + self._drain_seconds + _MARGIN_SECONDS
        for worker in self._workers():
            # A worker that is not warm has accepted nothing.
            if worker.ready_since is None or not worker.channel.ask_to_stop():
                worker.process.kill()

    def _kill_all(self) -> None:
        for worker in self._workers():
            worker.process.kill()

    def _fill_slots(self) -> None:
        if self._deadline is not None:
            return
        for slot in self._slots:
            if slot.worker is None and slot.due <= monotonic():
                try:
                    self._start(slot)
                except OSError as error:
                    # Out of descriptors, processes or memory.
                    if not self._announced:
                        raise WorkerStartError(f"A worker process cannot be started ({error}).") from error
                    logger.error("worker %d cannot be started: %s", slot.number, error)
                    slot.due = monotonic() + _RETRY_START_SECONDS

    def _start(self, slot: Slot) -> None:
        ours, theirs = socket.socketpair()
        try:
            with theirs:
                process = self._spawn(slot.number, theirs)
        except OSError:
            ours.close()
            raise
        channel = ParentEnd(ours)
        worker = WorkerProcess(slot, process, channel, RolloutWorker(channel))
        slot.worker = worker
        self._selector.register(channel, selectors.EVENT_READ, lambda: self._read_reports(worker))
        self._selector.register(process.sentinel, selectors.EVENT_READ, lambda: self._reap(worker))

    def _advance_versions(self, reloads: int) -> None:
        if self._deadline is not None or not self._announced:
            return
        if reloads > self._reloads:
            self._reloads = reloads
            self._repository.reload()
        self._repository.advance([worker.rollout_worker for worker in self._workers()])
        for worker in self._workers():
            if worker.rollout_worker.outdated:
                # Its replacement starts with the new version.
                worker.process.kill()

    def _timeout(self) -> float | None:
        """Seconds until there is something to do, should no event come before; None for none."""
        now = monotonic()
        # A list, so that every channel is flushed.
        flushed = [worker.channel.flush() for worker in self._workers()]
        times = [] if all(flushed) else [now + _RETRY_SECONDS]
        if (retry_at := self._dispatcher.retry_at) is not None:
            times.append(retry_at)
        if self._deadline is not None:
            times.append(max(now, self._deadline) + _RETRY_SECONDS)
        else:
            times += [slot.due for slot in self._slots if slot.worker is None]
            times += [now + _ROLLOUT_SECONDS] if self._repository.busy else []
        return max(0.0, min(times) - now) if times else None

    def _read_reports(self, worker: WorkerProcess) -> None:
        if not worker.is_running:
            # It was reaped a moment ago, by an event of the same batch.
            return
        for line in worker.channel.reports():
            self._handle_report(worker, line)
        if worker.channel.closed:
            # It is about to end; its sentinel will tell when.
            self._selector.unregister(worker.channel)

    def _handle_report(self, worker: WorkerProcess, line: ReportLine) -> None:
        if line.report is Report.SERVING:
            worker.serving = True
        elif line.report is Report.ENDED:
            worker.ended = int(line.text)
        elif line.report is Report.FAILED:
            worker.reason = line.text
        elif line.report is Report.MESSAGE:
            message = read_worker_message(line.text)
            if isinstance(message, LoadRequest):
                self._repository.load(message, worker.rollout_worker)
            else:
                worker.rollout_worker.report = message
        elif line.report is Report.READY:
            worker.ready_since = monotonic()
            worker.rollout_worker.ready = True
            logger.info("worker %d is ready, pid %d", worker.slot.number, worker.process.pid)
            if not self._announced and all(
                slot.worker is not None and slot.worker.ready_since is not None for slot in self._slots
            ):
                self._announced = True
                self._on_ready(line.text)

    def _reap(self, worker: WorkerProcess) -> None:
        """Free what belongs to an ended worker, and schedule its replacement."""
        if not worker.channel.closed:
            self._read_reports(worker)
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
        slot = worker.slot
        slot.worker = None
        if self._deadline is not None:
            return
        if worker.rollout_worker.outdated:
            slot.due = monotonic()
            return
        reason = worker.reason or f"A worker process ended unexpectedly ({describe_exit(code)})."
        if not self._announced:
            self._failure = WorkerStartError(reason)
            self._stop()
            return
        delay = slot.replace_dead(worker.ready_since)
        logger.error("worker %d, pid %d: %s Replacing it in %g s.", slot.number, pid, reason, delay)
