"""A version on its way into the workers: when one of them answers, fails, dies, or comes late."""

from pathlib import Path

import pytest

from service.inference.providers import Placement
from service.models.messages import Activate, Drop, ParentMessage, Prepare, read_message
from service.models.rollout import Rollout, RolloutWorker
from service.models.version import Version

VERSION = Version("tiny", "tiny/2", Path("models/tiny/2"), "00", Placement("cpu", on_gpu=False))
LONG = 10_000.0


class Line:
    """Keeps the orders that a worker is given."""

    def __init__(self) -> None:
        self.orders: list[ParentMessage] = []

    def send(self, text: str) -> None:
        self.orders.append(read_message(text))


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def worker(*, ready: bool = True) -> RolloutWorker:
    return RolloutWorker(Line(), edition=0, ready=ready)  # type: ignore[arg-type]


def orders(one: RolloutWorker) -> list[ParentMessage]:
    assert isinstance(one.channel, Line)
    return one.channel.orders


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def rollout(clock: Clock) -> Rollout:
    return Rollout(7, VERSION, clock)


def test_workers_prepare_one_after_the_other_and_take_up_together(rollout: Rollout) -> None:
    one, two = workers = [worker(), worker()]
    rollout.advance(workers)
    rollout.advance(workers)
    assert orders(one) == [Prepare(7, VERSION)]
    assert orders(two) == []
    one.prepared = 7
    rollout.advance(workers)
    assert orders(two) == [Prepare(7, VERSION)]
    before = rollout.decided
    two.prepared = 7
    rollout.advance(workers)
    assert (before, rollout.decided) == (False, True)
    assert orders(one)[1:] == orders(two)[1:] == [Activate(7)]
    one.activated = 7
    rollout.advance(workers)
    assert not rollout.done
    two.activated = 7
    rollout.advance(workers)
    assert rollout.done


def test_a_refusal_ends_it_before_anything_has_changed(rollout: Rollout) -> None:
    one, two = workers = [worker(), worker()]
    rollout.advance(workers)
    one.prepared = 7
    rollout.advance(workers)
    # What another rollout was refused for does not count.
    two.note_refusal("6 an older reason")
    rollout.advance(workers)
    assert rollout.failure == ""
    two.note_refusal("7 tiny/2 fails its self-test.")
    rollout.advance(workers)
    assert rollout.failure == "tiny/2 fails its self-test."
    assert not rollout.decided
    rollout.give_up(workers)
    assert orders(one)[-1] == orders(two)[-1] == Drop(7)


def test_a_worker_that_dies_while_it_loads_takes_the_version_with_it(rollout: Rollout) -> None:
    one, two = worker(), worker()
    rollout.advance([one, two])
    rollout.advance([two])
    assert "ended while it loaded tiny/2" in rollout.failure


def test_a_worker_that_dies_after_it_is_not_to_blame(rollout: Rollout) -> None:
    one, two = worker(), worker()
    rollout.advance([one, two])
    one.prepared = 7
    rollout.advance([one, two])
    # Its replacement is ready by the time that the other one is.
    new = worker()
    two.prepared = 7
    rollout.advance([new, two])
    assert orders(new) == [Prepare(7, VERSION)]
    new.prepared = 7
    rollout.advance([new, two])
    assert rollout.decided
    rollout.advance([two])
    two.activated = 7
    rollout.advance([two])
    assert rollout.done


def test_who_is_not_ready_is_not_waited_for(rollout: Rollout) -> None:
    one, late = workers = [worker(), worker(ready=False)]
    rollout.advance(workers)
    one.prepared = 7
    rollout.advance(workers)
    assert rollout.decided
    assert orders(late) == []


def test_nothing_is_decided_while_no_worker_is_ready(rollout: Rollout) -> None:
    rollout.advance([worker(ready=False)])
    assert (rollout.decided, rollout.failure) == (False, "")


def test_a_worker_that_never_answers_is_not_waited_for_for_ever(rollout: Rollout, clock: Clock) -> None:
    workers = [worker()]
    rollout.advance(workers)
    clock.now = LONG
    rollout.advance(workers)
    assert "tiny/2 was not ready after" in rollout.failure
