"""The parent's repository of versions, with workers that answer every message at once."""

import shutil
from collections.abc import Iterator
from pathlib import Path
from select import select
from threading import Event, Thread, current_thread

import pytest

from service.models.finding import find_version
from service.models.messages import (
    Activate,
    Activated,
    LoadRequest,
    LoadResult,
    Prepare,
    Prepared,
    Refused,
    StatusUpdate,
    VersionStatus,
    read_parent_message,
)
from service.models.opening import open_version
from service.models.repository import Repository
from service.models.rollout import RolloutWorker
from service.models.version import Version
from service.settings import Settings
from tests.measured_maps import state_measures
from tests.service.faults import settings
from tests.tiny_model import build_tiny_model


class Worker:
    """The worker's end of a channel.

    Attributes:
        refusal: reason why it refuses every version; empty where it prepares them.
        statuses: the latest status update.
        results: results of its load requests.
    """

    def __init__(self) -> None:
        self.rollout_worker = RolloutWorker(self, ready=True)  # type: ignore[arg-type]
        self.refusal = ""
        self.statuses: tuple[VersionStatus, ...] = ()
        self.results: list[LoadResult] = []

    def send(self, text: str) -> None:
        message = read_parent_message(text)
        if isinstance(message, Prepare) and self.refusal:
            self.rollout_worker.report = Refused(message.number, self.refusal)
        elif isinstance(message, Prepare):
            self.rollout_worker.report = Prepared(message.number)
        elif isinstance(message, Activate):
            self.rollout_worker.report = Activated(message.number)
        elif isinstance(message, StatusUpdate):
            self.statuses = message.statuses
        elif isinstance(message, LoadResult):
            self.results.append(message)

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
    repository = Repository(chosen, [find_version(chosen, "tiny")], find_version)
    yield repository
    repository.close()


def settle(repository: Repository, *workers: Worker) -> None:
    """Advance until no change is under way."""
    rollout_workers = [worker.rollout_worker for worker in workers]
    repository.advance(rollout_workers)
    while repository.busy:
        if select([repository], [], [], 0.01)[0]:
            repository.drain()
        repository.advance(rollout_workers)


def served(repository: Repository) -> list[str]:
    return [version.id for version in repository.versions]


def test_measures_of_maps_change_no_served_version_and_are_loaded_by_a_reload(
    models: Path, repository: Repository
) -> None:
    (before,) = repository.versions
    state_measures(before.folder)
    # A worker that replaces a dead one starts with the same graphs.
    open_version(before, settings(models))
    repository.reload()
    settle(repository, Worker())
    (after,) = repository.versions
    assert after.card_sha256 != before.card_sha256
    assert after.exported_sha256 == before.exported_sha256


def test_a_reload_serves_the_newest_version_and_a_request_an_older_one(
    models: Path, repository: Repository
) -> None:
    one, two = Worker(), Worker()
    repository.reload()
    settle(repository, one, two)
    assert (served(repository), one.statuses) == (["tiny/1"], ())
    build_tiny_model(models, version=2, seed=1)
    # Two signals at once are one.
    repository.reload()
    repository.reload()
    settle(repository, one, two)
    assert served(repository) == ["tiny/2"]
    assert one.states == two.states == {"tiny/1": "retired"}
    assert not one.rollout_worker.outdated
    repository.load(LoadRequest("w", "tiny", 1), one.rollout_worker)
    settle(repository, one, two)
    assert served(repository) == ["tiny/1"]
    assert one.states == {"tiny/2": "retired"}
    assert one.results == [LoadResult("w")]
    assert two.results == []


def test_a_version_that_one_worker_refuses_is_served_by_none(models: Path, repository: Repository) -> None:
    one, two = Worker(), Worker()
    two.refusal = "tiny/2 fails its self-test."
    folder = build_tiny_model(models, version=2, seed=1)
    repository.load(LoadRequest("w", "tiny"), one.rollout_worker)
    settle(repository, one, two)
    assert served(repository) == ["tiny/1"]
    (status,) = one.statuses
    assert (status.id, status.state, status.reason) == ("tiny/2", "failed", "tiny/2 fails its self-test.")
    assert one.results == [
        LoadResult("w", "tiny/2 was not loaded, tiny/1 serves on: tiny/2 fails its self-test.")
    ]
    # A worker that starts later is told too.
    late = Worker()
    settle(repository, one, two, late)
    assert late.statuses == one.statuses
    # Once the folder is gone, the failure is cleared.
    shutil.rmtree(folder)
    repository.reload()
    settle(repository, one, two, late)
    assert one.statuses == late.statuses == ()


def test_a_missing_version_is_refused_with_the_versions_that_exist(repository: Repository) -> None:
    one = Worker()
    repository.load(LoadRequest("w", "tiny", 7), one.rollout_worker)
    settle(repository, one)
    assert one.states == {"tiny/7": "failed"}
    assert "it holds tiny/1" in one.results[0].reason


def test_a_worker_that_starts_with_the_replaced_version_is_outdated(
    models: Path, repository: Repository
) -> None:
    one, starting = Worker(), Worker()
    starting.rollout_worker.ready = False
    build_tiny_model(models, version=2, seed=1)
    repository.reload()
    settle(repository, one, starting)
    assert served(repository) == ["tiny/2"]
    assert starting.rollout_worker.outdated
    assert not one.rollout_worker.outdated


def test_requests_that_wait_are_answered_in_their_order(models: Path, repository: Repository) -> None:
    one, two = Worker(), Worker()
    build_tiny_model(models, version=2, seed=1)
    repository.load(LoadRequest("first", "tiny", 2), one.rollout_worker)
    repository.load(LoadRequest("second", "tiny", 9), two.rollout_worker)
    repository.load(LoadRequest("third", "tiny", 1), one.rollout_worker)
    settle(repository, one, two)
    assert one.results == [LoadResult("first"), LoadResult("third")]
    assert [result.token for result in two.results] == ["second"]
    assert served(repository) == ["tiny/1"]


def test_five_retired_versions_of_an_entry_are_remembered(models: Path, repository: Repository) -> None:
    one = Worker()
    for version in range(2, 9):
        build_tiny_model(models, version=version, seed=version)
        repository.reload()
        settle(repository, one)
    assert [status.id for status in one.statuses] == [f"tiny/{version}" for version in range(3, 8)]


def test_an_examination_that_outlasts_the_service_ends_without_a_word(models: Path) -> None:
    begun, ended = Event(), Event()
    examiners: list[Thread] = []

    def examine(chosen: Settings, entry: str, name: str) -> Version:
        examiners.append(current_thread())
        begun.set()
        assert ended.wait(60)
        return find_version(chosen, entry, name)

    chosen = settings(models)
    repository = Repository(chosen, [find_version(chosen, "tiny")], examine)
    repository.reload()
    repository.advance([])
    assert begun.wait(60)
    repository.close()
    with pytest.MonkeyPatch.context() as patch:
        raised: list[object] = []
        patch.setattr("threading.excepthook", raised.append)
        ended.set()
        examiners[0].join()
    assert raised == []
