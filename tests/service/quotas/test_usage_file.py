"""Usage of API keys: the laws of rate and quota, over processes and restarts."""

import multiprocessing
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.errors import SettingsError
from service.quotas.api_keys import Key
from service.quotas.usage_file import NAME, UsageFile

DAY = 86_400
START = 20_000.0 * DAY + 1000
DIGEST = bytes(32)


class Clock:
    """A clock that a test moves."""

    def __init__(self) -> None:
        self.now = START

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def usage_file(tmp_path: Path, clock: Clock) -> UsageFile:
    return UsageFile(tmp_path, clock)


def test_a_key_without_limits_is_never_refused(usage_file: UsageFile) -> None:
    key = Key("free", DIGEST)
    assert [usage_file.charge(key, 10**6) for _ in range(10)] == [None] * 10


def test_a_key_that_owes_nothing_may_send_and_then_owes_the_time_of_its_images(
    usage_file: UsageFile, clock: Clock
) -> None:
    key = Key("slow", DIGEST, images_per_second=10)
    assert usage_file.charge(key, 50) is None
    clock.now += 1
    refusal = usage_file.charge(key, 1)
    assert refusal is not None
    assert not refusal.daily
    assert refusal.seconds == pytest.approx(4)
    clock.now += refusal.seconds / 2
    assert usage_file.charge(key, 1) is not None
    # The time that the refusal names is right: not earlier, not later.
    clock.now += refusal.seconds / 2
    assert usage_file.charge(key, 1) is None
    # Unused time is not saved up.
    clock.now += 1000
    assert usage_file.charge(key, 1) is None
    assert usage_file.charge(key, 1) is not None


@given(
    st.lists(st.tuples(st.floats(0, 5), st.integers(1, 40)), min_size=1, max_size=40),
    st.sampled_from([0.5, 3.0, 100.0]),
)
def test_the_long_run_admits_no_more_than_the_rate_and_one_request(
    tries: list[tuple[float, int]], rate: float
) -> None:
    clock, key = Clock(), Key("law", DIGEST, images_per_second=rate)
    admitted, last = 0, 0
    with TemporaryDirectory() as folder:
        usage_file = UsageFile(Path(folder), clock, slots=4)
        for pause, images in tries:
            clock.now += pause
            if usage_file.charge(key, images) is None:
                admitted += images
                last = images
        usage_file.close()
    assert admitted - last <= rate * (clock.now - START) + 1e-3


def test_the_quota_of_a_day_is_available_again_on_the_next(usage_file: UsageFile, clock: Clock) -> None:
    key = Key("daily", DIGEST, images_per_day=100)
    assert usage_file.charge(key, 90) is None
    refusal = usage_file.charge(key, 11)
    assert refusal is not None
    assert (refusal.daily, refusal.used) == (True, 90)
    assert refusal.seconds == DAY - 1000
    # All or nothing: a request that still fits is admitted.
    assert usage_file.charge(key, 10) is None
    assert usage_file.charge(key, 1) is not None
    clock.now += refusal.seconds
    assert usage_file.charge(key, 100) is None


def test_refused_images_cost_nothing_and_returned_ones_may_be_sent_again(
    usage_file: UsageFile,
) -> None:
    key = Key("both", DIGEST, images_per_second=10, images_per_day=100)
    assert usage_file.charge(key, 60) is None
    usage_file.give_back(key, 60)
    assert usage_file.charge(key, 100) is None
    refusal = usage_file.charge(key, 1)
    assert refusal is not None
    assert refusal.used == 100


def test_each_key_has_a_rate_of_its_own(usage_file: UsageFile) -> None:
    one, two = (Key(name, DIGEST, images_per_second=1) for name in ("one", "two"))
    assert usage_file.charge(one, 100) is None
    assert usage_file.charge(two, 100) is None
    assert usage_file.charge(one, 1) is not None


def test_a_restart_forgets_nothing(tmp_path: Path, clock: Clock) -> None:
    key = Key("kept", DIGEST, images_per_second=1, images_per_day=10)
    before = UsageFile(tmp_path, clock)
    assert before.charge(key, 8) is None
    before.close()
    after = UsageFile(tmp_path, clock)
    clock.now += 9
    refusal = after.charge(key, 3)
    assert refusal is not None
    assert refusal.used == 8


def spend(folder: Path, key: Key, count: int) -> None:
    usage_file = UsageFile(folder)
    for _ in range(count):
        usage_file.charge(key, 1)


def test_processes_count_together_and_lose_nothing(tmp_path: Path) -> None:
    key = Key("shared", DIGEST, images_per_day=1_000_000)
    context = multiprocessing.get_context("spawn")
    processes = [context.Process(target=spend, args=(tmp_path, key, 2000)) for _ in range(2)]
    for process in processes:
        process.start()
    for process in processes:
        process.join(60)
        assert process.exitcode == 0
    refusal = UsageFile(tmp_path).charge(key, 1_000_000)
    assert refusal is not None
    assert refusal.used == 4000


def test_a_new_key_takes_the_record_of_the_key_that_is_unused_for_longest(
    tmp_path: Path, clock: Clock
) -> None:
    usage_file = UsageFile(tmp_path, clock, slots=8)
    size = (tmp_path / NAME).stat().st_size
    limited = Key("limited", DIGEST, images_per_day=5)
    for number in range(8):
        assert usage_file.charge(Key(f"old-{number}", DIGEST), 1) is None
    clock.now += 2 * DAY
    assert usage_file.charge(limited, 5) is None
    # Its record is at an offset that was another key's before.
    assert usage_file.charge(Key("old-0", DIGEST, images_per_day=5), 5) is None
    assert usage_file.charge(limited, 1) is not None
    assert (tmp_path / NAME).stat().st_size == size


@pytest.mark.parametrize("damage", [b"", b"something else", bytes(100)])
def test_a_damaged_usage_file_is_begun_anew(damage: bytes, tmp_path: Path, clock: Clock) -> None:
    (tmp_path / NAME).write_bytes(damage)
    key = Key("one", DIGEST, images_per_day=5)
    assert UsageFile(tmp_path, clock).charge(key, 5) is None
    assert UsageFile(tmp_path, clock).charge(key, 1) is not None


def test_a_folder_that_cannot_hold_the_file_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(SettingsError, match=r"api-keys\.ledger \(.*\)\. Set INFOMAX_DATA_DIR"):
        UsageFile(tmp_path / "file")
