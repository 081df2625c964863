"""The parent's bookkeeping of versions, with workers that do at once what they are told."""

import shutil
from collections.abc import Iterator
from pathlib import Path
from select import select

import pytest

from service.models.messages import Fate, News, Outcome, Prepare, TakeUp, Wish, read_order, write
from service.models.repository import Repository
from service.models.rollout import Follower
from service.models.version import find_version
from tests.service.faults import settings
from tests.tiny_model import build_tiny_model


class Worker:
    """The other end of a follower's line.

    Attributes:
        refusal: why it prepares nothing; empty where it does.
        fates: the latest news.
        outcomes: of its wishes.
    """

    def __init__(self) -> None:
        self.follower = Follower(self, edition=0, ready=True)  # type: ignore[arg-type]
        self.refusal = ""
        self.fates: tuple[Fate, ...] = ()
        self.outcomes: list[Outcome] = []

    def order(self, text: str) -> None:
        order = read_order(text)
        if isinstance(order, Prepare) and self.refusal:
            self.follower.note_refusal(f"{order.number} {self.refusal}")
        elif isinstance(order, Prepare):
            self.follower.prepared = order.number
        elif isinstance(order, TakeUp):
            self.follower.taken = order.number
        elif isinstance(order, News):
            self.fates = order.fates
        elif isinstance(order, Outcome):
            self.outcomes.append(order)

    @property
    def states(self) -> dict[str, str]:
        return {fate.id: fate.state for fate in self.fates}


@pytest.fixture
def models(tmp_path: Path) -> Path:
    build_tiny_model(tmp_path / "models")
    return tmp_path / "models"


@pytest.fixture
def repository(models: Path) -> Iterator[Repository]:
    chosen = settings(models)
    repository = Repository(chosen, [find_version(chosen, "tiny")])
    yield repository
    repository.close()


def settle(repository: Repository, *workers: Worker) -> None:
    """Go on until nothing is being loaded."""
    followers = [worker.follower for worker in workers]
    repository.advance(followers)
    while repository.busy:
        if select([repository], [], [], 0.01)[0]:
            repository.drain()
        repository.advance(followers)


def served(repository: Repository) -> list[str]:
    return [version.id for version in repository.versions]


def test_a_name_is_its_newest_version_and_one_may_go_back(models: Path, repository: Repository) -> None:
    one, two = Worker(), Worker()
    repository.reload()
    settle(repository, one, two)
    assert (served(repository), repository.edition, one.fates) == (["tiny/1"], 0, ())
    build_tiny_model(models, version=2, seed=1)
    # Two signals at once are one.
    repository.reload()
    repository.reload()
    settle(repository, one, two)
    assert (served(repository), repository.edition) == (["tiny/2"], 1)
    assert one.states == two.states == {"tiny/1": "retired"}
    assert one.follower.edition == two.follower.edition == 1
    repository.wish(one.follower, write(Wish("w", "tiny", 1)))
    settle(repository, one, two)
    assert (served(repository), repository.edition) == (["tiny/1"], 2)
    assert one.states == {"tiny/2": "retired"}
    assert one.outcomes == [Outcome("w")]
    assert two.outcomes == []


def test_what_one_worker_refuses_none_serves(models: Path, repository: Repository) -> None:
    one, two = Worker(), Worker()
    two.refusal = "tiny/2 fails its self-test."
    folder = build_tiny_model(models, version=2, seed=1)
    repository.wish(one.follower, write(Wish("w", "tiny")))
    settle(repository, one, two)
    assert (served(repository), repository.edition) == (["tiny/1"], 0)
    (fate,) = one.fates
    assert (fate.id, fate.state, fate.reason) == ("tiny/2", "failed", "tiny/2 fails its self-test.")
    assert one.outcomes == [
        Outcome("w", "tiny/2 was not loaded, tiny/1 serves on: tiny/2 fails its self-test.")
    ]
    # Whoever comes later is told too.
    late = Worker()
    settle(repository, one, two, late)
    assert late.fates == one.fates
    # Taken away, it is no failure any more.
    shutil.rmtree(folder)
    repository.reload()
    settle(repository, one, two, late)
    assert one.fates == late.fates == ()


def test_a_version_that_is_not_there_is_refused_with_what_is(repository: Repository) -> None:
    one = Worker()
    repository.wish(one.follower, write(Wish("w", "tiny", 7)))
    settle(repository, one)
    assert one.states == {"tiny/7": "failed"}
    assert "it holds tiny/1" in one.outcomes[0].reason
