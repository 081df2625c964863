"""Connections that the parent accepts and hands over, with real sockets."""

import selectors
import socket
from collections.abc import Iterator
from contextlib import ExitStack

import pytest

from service.models.rollout import RolloutWorker
from service.processes.dispatcher import Dispatcher
from service.processes.worker_process import Slot, WorkerProcess
from service.system.channel import ParentEnd, WorkerEnd


class Parent:
    """A parent's loop with one worker.

    Attributes:
        listener: the listening socket.
        candidates: workers that may be given a connection.
        dispatcher: hands them connections.
        worker_end: the worker's end of its channel.
    """

    def __init__(self, stack: ExitStack) -> None:
        self._selector = stack.enter_context(selectors.DefaultSelector())
        self.listener = stack.enter_context(socket.create_server(("127.0.0.1", 0)))
        self._stack = stack
        ours, theirs = socket.socketpair()
        stack.enter_context(ours)
        stack.enter_context(theirs)
        channel = ParentEnd(ours)
        process = None
        self.worker = WorkerProcess(Slot(0), process, channel, RolloutWorker(channel))  # type: ignore[arg-type]
        self.worker_end = WorkerEnd(theirs)
        self.candidates: list[WorkerProcess] = []
        self.dispatcher = Dispatcher(self.listener, self._selector, lambda: self.candidates)
        stack.callback(self.dispatcher.close)

    def connect(self) -> socket.socket:
        return self._stack.enter_context(socket.create_connection(self.listener.getsockname()))

    def retries(self) -> bool:
        """Whether a connection waits for the next attempt."""
        return self.dispatcher.retry_at is not None

    def turn(self) -> None:
        """Go round the loop once."""
        self.dispatcher.listen()
        for key, _ in self._selector.select(0 if not self._selector.get_map() else 10):
            key.data()
        self.dispatcher.retry()


@pytest.fixture
def parent() -> Iterator[Parent]:
    with ExitStack() as stack:
        yield Parent(stack)


def test_a_connection_goes_to_the_worker_as_it_is(parent: Parent) -> None:
    parent.candidates = [parent.worker]
    client = parent.connect()
    parent.turn()
    taken = parent.worker_end.take()
    assert taken is not None
    with taken:
        client.sendall(b"hello")
        assert taken.recv(16) == b"hello"
    assert parent.worker.handed == 1
    assert not parent.retries()


def test_connections_stay_with_the_kernel_while_no_worker_can_take_one(parent: Parent) -> None:
    parent.connect()
    parent.turn()
    assert parent.worker.handed == 0
    parent.candidates = [parent.worker]
    parent.turn()
    assert parent.worker.handed == 1


def test_a_connection_that_no_worker_has_room_for_waits(parent: Parent) -> None:
    parent.candidates = [parent.worker]
    with socket.socket() as filler:
        while parent.worker.channel.hand_over(filler):
            pass
    client = parent.connect()
    parent.turn()
    assert parent.worker.handed == 0
    assert parent.retries()
    # Once there is room, it comes after the others.
    while (earlier := parent.worker_end.take()) is not None:
        earlier.close()
    parent.dispatcher.retry()
    assert parent.worker.handed == 1
    assert not parent.retries()
    taken = parent.worker_end.take()
    assert taken is not None
    with taken:
        assert taken.getpeername() == client.getsockname()
