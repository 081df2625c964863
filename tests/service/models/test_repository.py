"""The parent's bookkeeping of versions, with workers that do at once what they are told."""

import shutil
from collections.abc import Iterator
from pathlib import Path
from select import select

import pytest

from service.models.messages import (
    Activate,
    LoadRequest,
    LoadResult,
    Prepare,
    StatusUpdate,
    VersionStatus,
    read_message,
    write,
)
from service.models.repository import Repository
from service.models.rollout import RolloutWorker
from service.models.version import find_version
from tests.service.faults import settings
from tests.tiny_model import build_tiny_model


class Worker:
    """The other end of a follower's line.

    Attributes:
        refusal: why it prepares nothing; empty where it does.
        statuses: the latest update.
        outcomes: of its load requests.
    """

    def __init__(self) -> None:
        self.rollout_worker = RolloutWorker(self, edition=0, ready=True)  # type: ignore[arg-type]
        self.refusal = ""
        self.statuses: tuple[VersionStatus, ...] = ()
        self.outcomes: list[LoadResult] = []

    def send(self, text: str) -> None:
        message = read_message(text)
        if isinstance(message, Prepare) and self.refusal:
            self.rollout_worker.note_refusal(f"{message.number} {self.refusal}")
        elif isinstance(message, Prepare):
            self.rollout_worker.prepared = message.number
        elif isinstance(message, Activate):
            self.rollout_worker.activated = message.number
        elif isinstance(message, StatusUpdate):
            self.statuses = message.statuses
        elif isinstance(message, LoadResult):
            self.outcomes.append(message)

    @property
    def states(self) -> dict[str, str]:
        return {status.id: status.state for status in self.statuses}


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
    rollout_workers = [worker.rollout_worker for worker in workers]
    repository.advance(rollout_workers)
    while repository.busy:
        if select([repository], [], [], 0.01)[0]:
            repository.drain()
        repository.advance(rollout_workers)


def served(repository: Repository) -> list[str]:
    return [version.id for version in repository.versions]


def test_a_name_is_its_newest_version_and_one_may_go_back(models: Path, repository: Repository) -> None:
    one, two = Worker(), Worker()
    repository.reload()
    settle(repository, one, two)
    assert (served(repository), repository.edition, one.statuses) == (["tiny/1"], 0, ())
    build_tiny_model(models, version=2, seed=1)
    # Two signals at once are one.
    repository.reload()
    repository.reload()
    settle(repository, one, two)
    assert (served(repository), repository.edition) == (["tiny/2"], 1)
    assert one.states == two.states == {"tiny/1": "retired"}
    assert one.rollout_worker.edition == two.rollout_worker.edition == 1
    repository.load_request(one.rollout_worker, write(LoadRequest("w", "tiny", 1)))
    settle(repository, one, two)
    assert (served(repository), repository.edition) == (["tiny/1"], 2)
    assert one.states == {"tiny/2": "retired"}
    assert one.outcomes == [LoadResult("w")]
    assert two.outcomes == []


def test_what_one_worker_refuses_none_serves(models: Path, repository: Repository) -> None:
    one, two = Worker(), Worker()
    two.refusal = "tiny/2 fails its self-test."
    folder = build_tiny_model(models, version=2, seed=1)
    repository.load_request(one.rollout_worker, write(LoadRequest("w", "tiny")))
    settle(repository, one, two)
    assert (served(repository), repository.edition) == (["tiny/1"], 0)
    (status,) = one.statuses
    assert (status.id, status.state, status.reason) == ("tiny/2", "failed", "tiny/2 fails its self-test.")
    assert one.outcomes == [
        LoadResult("w", "tiny/2 was not loaded, tiny/1 serves on: tiny/2 fails its self-test.")
    ]
    # Whoever comes later is told too.
    late = Worker()
    settle(repository, one, two, late)
    assert late.statuses == one.statuses
    # Taken away, it is no failure any more.
    shutil.rmtree(folder)
    repository.reload()
    settle(repository, one, two, late)
    assert one.statuses == late.statuses == ()


def test_a_version_that_is_not_there_is_refused_with_what_is(repository: Repository) -> None:
    one = Worker()
    repository.load_request(one.rollout_worker, write(LoadRequest("w", "tiny", 7)))
    settle(repository, one)
    assert one.states == {"tiny/7": "failed"}
    assert "it holds tiny/1" in one.outcomes[0].reason
