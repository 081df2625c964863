"""Both ends of the channel between parent and worker, over a real socket pair."""

import os
import resource
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from service.system.channel import ParentEnd, Report, ReportLine, WorkerEnd


@pytest.fixture
def ends() -> Iterator[tuple[ParentEnd, WorkerEnd]]:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        yield ParentEnd(ours), WorkerEnd(theirs)


def test_a_connection_that_was_handed_over_is_the_same_connection(ends: tuple[ParentEnd, WorkerEnd]) -> None:
    parent, worker = ends
    client, accepted = socket.socketpair()
    with client:
        with accepted:
            assert parent.hand_over(accepted)
        # The parent's copy is closed; the worker's lives.
        taken = worker.take()
        assert taken is not None
        with taken:
            client.sendall(b"hello")
            assert taken.recv(16) == b"hello"
        assert client.recv(16) == b""


def test_the_order_to_stop_arrives_after_the_connections_before_it(ends: tuple[ParentEnd, WorkerEnd]) -> None:
    parent, worker = ends
    pairs = [socket.socketpair() for _ in range(3)]
    for _, accepted in pairs:
        assert parent.hand_over(accepted)
    assert parent.ask_to_stop()
    for client, _ in pairs:
        taken = worker.take()
        assert taken is not None
        assert not worker.told_to_stop
        with taken:
            client.sendall(b"x")
            assert taken.recv(1) == b"x"
    assert worker.take() is None
    assert worker.told_to_stop
    for client, accepted in pairs:
        client.close()
        accepted.close()


def test_messages_arrive_whole_between_connections(ends: tuple[ParentEnd, WorkerEnd]) -> None:
    parent, worker = ends
    client, accepted = socket.socketpair()
    long = "é" * 4000
    parent.send("first")
    with client, accepted:
        assert parent.hand_over(accepted)
        parent.send(long)
        taken = worker.take()
        assert taken is not None
        taken.close()
    assert list(worker.messages) == ["first"]
    assert worker.take() is None
    assert list(worker.messages) == ["first", long]


def test_messages_wait_in_their_order_until_there_is_room(ends: tuple[ParentEnd, WorkerEnd]) -> None:
    parent, worker = ends
    given = 0
    while parent.flush():
        parent.send(str(given))
        given += 1
    parent.send(str(given))
    assert not parent.flush()
    assert worker.take() is None
    assert parent.flush()
    assert worker.take() is None
    assert list(worker.messages) == [str(number) for number in range(given + 1)]


def test_reports_arrive_whole_and_on_one_line_each(ends: tuple[ParentEnd, WorkerEnd]) -> None:
    parent, worker = ends
    worker.tell(Report.SERVING)
    worker.tell(Report.READY, "CPUExecutionProvider; nodes=29/29")
    worker.tell(Report.FAILED, "first line\nsecond line")
    assert parent.reports() == [
        ReportLine(Report.SERVING, ""),
        ReportLine(Report.READY, "CPUExecutionProvider; nodes=29/29"),
        ReportLine(Report.FAILED, "first line second line"),
    ]
    assert parent.reports() == []
    assert not parent.closed


def test_a_line_in_pieces_is_put_together() -> None:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        parent = ParentEnd(ours)
        theirs.sendall(b"ended 1")
        assert parent.reports() == []
        theirs.sendall(b"2\nserv")
        assert parent.reports() == [ReportLine(Report.ENDED, "12")]


def test_reports_are_read_after_the_end_of_the_worker(ends: tuple[ParentEnd, WorkerEnd]) -> None:
    parent, worker = ends
    worker.tell(Report.FAILED, "the model is broken")
    worker.close()
    assert parent.reports() == [ReportLine(Report.FAILED, "the model is broken")]
    assert parent.closed
    worker.tell(Report.ENDED, "1")


def test_a_worker_that_is_gone_or_hangs_takes_nothing(ends: tuple[ParentEnd, WorkerEnd]) -> None:
    parent, worker = ends
    with socket.socket() as connection:
        taken = 0
        # The socket is bounded: a worker that hangs is not given connections without end.
        while parent.hand_over(connection):
            taken += 1
        assert taken > 0
        while (given := worker.take()) is not None:
            given.close()
            taken -= 1
        assert taken == 0
        assert parent.hand_over(connection)
        worker.close()
        assert not parent.hand_over(connection)
        assert not parent.ask_to_stop()


def open_descriptors() -> int:
    return len(list(Path("/dev/fd").iterdir()))


def test_descriptors_do_not_leak(ends: tuple[ParentEnd, WorkerEnd]) -> None:
    parent, worker = ends
    before = open_descriptors()
    for _ in range(50):
        with socket.socket() as connection:
            assert parent.hand_over(connection)
        taken = worker.take()
        assert taken is not None
        taken.close()
    assert open_descriptors() == before


@contextmanager
def without_descriptors() -> Iterator[None]:
    """Let this process open nothing."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    with Path(os.devnull).open() as file:
        lowest = file.fileno()
    resource.setrlimit(resource.RLIMIT_NOFILE, (lowest, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def test_a_connection_without_a_descriptor_for_it_is_counted(ends: tuple[ParentEnd, WorkerEnd]) -> None:
    parent, worker = ends
    pairs = [socket.socketpair() for _ in range(3)]
    for _, accepted in pairs:
        assert parent.hand_over(accepted)
        accepted.close()
    assert parent.ask_to_stop()
    with without_descriptors():
        assert worker.take() is None
    assert (worker.lost_connections, worker.lost_message, worker.told_to_stop) == (3, False, True)
    for client, _ in pairs:
        with client:
            # It was closed, and hangs nowhere.
            assert client.recv(1) == b""


def test_a_message_without_a_descriptor_for_it_is_noticed(ends: tuple[ParentEnd, WorkerEnd]) -> None:
    parent, worker = ends
    parent.send("lost")
    with without_descriptors():
        assert worker.take() is None
    assert (worker.lost_connections, worker.lost_message, list(worker.messages)) == (0, True, [])


def test_a_message_waits_while_its_sender_has_no_descriptor(ends: tuple[ParentEnd, WorkerEnd]) -> None:
    parent, worker = ends
    with without_descriptors():
        parent.send("late")
        assert not parent.flush()
    assert parent.flush()
    assert worker.take() is None
    assert list(worker.messages) == ["late"]
