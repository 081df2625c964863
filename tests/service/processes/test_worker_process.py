"""Which worker is given a connection, and when a dead one is replaced."""

import socket
from collections.abc import Iterator
from contextlib import ExitStack

import pytest

from service.models.rollout import RolloutWorker
from service.processes.worker_process import Slot, WorkerProcess, candidates
from service.system.channel import ParentEnd


@pytest.fixture
def workers() -> Iterator[list[WorkerProcess]]:
    """Three workers that answer connections and are not ready yet."""
    with ExitStack() as stack:
        made = []
        for number in range(3):
            ours, theirs = socket.socketpair()
            stack.enter_context(ours)
            stack.enter_context(theirs)
            channel = ParentEnd(ours)
            process = None
            made.append(
                WorkerProcess(Slot(number), process, channel, RolloutWorker(channel), serving=True)  # type: ignore[arg-type]
            )
        yield made


def test_the_ready_worker_with_the_fewest_open_connections_comes_first(workers: list[WorkerProcess]) -> None:
    for worker, handed, ended in zip(workers, (4, 3, 9), (1, 2, 8), strict=True):
        worker.ready_since, worker.handed, worker.ended = 1.0, handed, ended
    # Two have one open connection; the one that was given fewer so far goes before the other.
    assert [worker.slot.number for worker in candidates(workers)] == [1, 2, 0]


def test_a_worker_that_is_not_ready_is_given_connections_only_where_none_is_ready(
    workers: list[WorkerProcess],
) -> None:
    workers[0].handed = 5
    assert [worker.slot.number for worker in candidates(workers)] == [1, 2, 0]
    workers[2].ready_since = 1.0
    assert candidates(workers) == [workers[2]]
    workers[2].channel.closed = True
    workers[1].serving = False
    assert candidates(workers) == [workers[0]]


def test_the_delay_grows_with_every_worker_that_dies_early(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("service.processes.worker_process.monotonic", lambda: 1000.0)
    slot = Slot(0)
    assert [slot.replace_dead(None) for _ in range(8)] == [0, 1, 2, 4, 8, 16, 30, 30]
    assert slot.due == 1030.0
    # A worker that was ready for long enough begins the count anew.
    assert slot.replace_dead(ready_since=900.0) == 0
    assert slot.replace_dead(ready_since=990.0) == 1
