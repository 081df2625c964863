"""A rollout whose workers answer, fail, die, or start late."""

from pathlib import Path

import pytest

from service.inference.device_choice import DeviceChoice
from service.models.messages import (
    Activate,
    Activated,
    Drop,
    ParentMessage,
    Prepare,
    Prepared,
    Refused,
    read_parent_message,
)
from service.models.rollout import Rollout, RolloutWorker, Stage
from service.models.version import Version

VERSION = Version("tiny", "tiny/2", Path("models/tiny/2"), "00", "00", DeviceChoice("cpu", on_gpu=False))
LONG = 10_000.0


class Channel:
    """A channel that keeps the messages to its worker."""

    def __init__(self) -> None:
        self.messages: list[ParentMessage] = []

    def send(self, text: str) -> None:
        self.messages.append(read_parent_message(text))


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def worker(*, ready: bool = True) -> RolloutWorker:
    return RolloutWorker(Channel(), ready=ready)  # type: ignore[arg-type]


def stage(rollout: Rollout) -> Stage:
    """Read the stage anew, which a type checker cannot know to change."""
    return rollout.stage


def messages(one: RolloutWorker) -> list[ParentMessage]:
    assert isinstance(one.channel, Channel)
    return one.channel.messages


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def rollout(clock: Clock) -> Rollout:
    return Rollout(7, VERSION, clock)


def test_workers_prepare_one_after_the_other_and_activate_together(rollout: Rollout) -> None:
    one, two = workers = [worker(), worker()]
    rollout.advance(workers)
    rollout.advance(workers)
    assert messages(one) == [Prepare(7, VERSION)]
    assert messages(two) == []
    one.report = Prepared(7)
    rollout.advance(workers)
    assert messages(two) == [Prepare(7, VERSION)]
    assert stage(rollout) is Stage.PREPARING
    two.report = Prepared(7)
    rollout.advance(workers)
    assert stage(rollout) is Stage.ACTIVATING
    assert messages(one)[1:] == messages(two)[1:] == [Activate(7)]
    one.report = Activated(7)
    rollout.advance(workers)
    assert stage(rollout) is Stage.ACTIVATING
    two.report = Activated(7)
    rollout.advance(workers)
    assert stage(rollout) is Stage.DONE


def test_a_refusal_ends_the_rollout_before_anything_has_changed(rollout: Rollout) -> None:
    one, two = workers = [worker(), worker()]
    rollout.advance(workers)
    one.report = Prepared(7)
    rollout.advance(workers)
    # The refusal of another rollout does not count.
    two.report = Refused(6, "an older reason")
    rollout.advance(workers)
    assert rollout.failure == ""
    two.report = Refused(7, "tiny/2 fails its self-test.")
    rollout.advance(workers)
    assert rollout.failure == "tiny/2 fails its self-test."
    assert stage(rollout) is Stage.FAILED
    assert messages(one)[-1] == messages(two)[-1] == Drop(7)


def test_a_worker_that_dies_while_it_loads_fails_the_rollout(rollout: Rollout) -> None:
    one, two = worker(), worker()
    rollout.advance([one, two])
    rollout.advance([two])
    assert "ended while it loaded tiny/2" in rollout.failure


def test_a_worker_that_dies_after_it_has_prepared_fails_nothing(rollout: Rollout) -> None:
    one, two = worker(), worker()
    rollout.advance([one, two])
    one.report = Prepared(7)
    rollout.advance([one, two])
    # Its replacement is ready by the time that the other worker has prepared.
    new = worker()
    two.report = Prepared(7)
    rollout.advance([new, two])
    assert messages(new) == [Prepare(7, VERSION)]
    new.report = Prepared(7)
    rollout.advance([new, two])
    assert stage(rollout) is Stage.ACTIVATING
    rollout.advance([two])
    two.report = Activated(7)
    rollout.advance([two])
    assert stage(rollout) is Stage.DONE


def test_a_worker_that_is_not_ready_is_not_waited_for(rollout: Rollout) -> None:
    one, late = workers = [worker(), worker(ready=False)]
    rollout.advance(workers)
    one.report = Prepared(7)
    rollout.advance(workers)
    assert stage(rollout) is Stage.ACTIVATING
    assert messages(late) == []


def test_nothing_is_activated_while_no_worker_is_ready(rollout: Rollout) -> None:
    rollout.advance([worker(ready=False)])
    assert (stage(rollout), rollout.failure) == (Stage.PREPARING, "")


def test_a_worker_that_never_answers_fails_the_rollout_in_the_end(rollout: Rollout, clock: Clock) -> None:
    workers = [worker()]
    rollout.advance(workers)
    clock.now = LONG
    rollout.advance(workers)
    assert "tiny/2 was not ready after" in rollout.failure
