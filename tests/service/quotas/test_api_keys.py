"""API keys: rules of the file, and changes of it while the service runs."""

import logging
import os
from pathlib import Path

import pytest
import typer
from hypothesis import given
from hypothesis import strategies as st
from typer.testing import CliRunner

from service.cli.key import key as key_commands
from service.quotas.api_keys import KeyFileError, KeyRing, new_key, read_keys, table_of


def write(path: Path, text: str) -> Path:
    """Replace a file as a whole, as editors and Kubernetes do."""
    fresh = path.with_suffix(".new")
    fresh.write_text(text)
    fresh.replace(path)
    return path


class Clock:
    """A clock that a test moves."""

    def __init__(self, now: float = 0.0) -> None:
        self.now = now

    def __call__(self) -> float:
        return self.now


def test_the_lines_that_the_command_prints_admit_the_key_that_it_shows(tmp_path: Path) -> None:
    app = typer.Typer()
    app.add_typer(key_commands, name="key")
    arguments = ["key", "new", "crawler", "--images-per-second", "2.5", "--images-per-day", "1000"]
    first = CliRunner().invoke(app, arguments)
    second = CliRunner().invoke(app, ["key", "new", "lab"])
    assert (first.exit_code, second.exit_code) == (0, 0)
    secrets = [result.stderr.split()[-1] for result in (first, second)]
    # As from `>> keys.toml`; the key itself is not in it.
    path = write(tmp_path / "keys.toml", first.stdout + second.stdout)
    assert all(secret not in path.read_text() for secret in secrets)
    keys = KeyRing(path)
    found = [keys.find(secret) for secret in secrets]
    assert [key and (key.id, key.images_per_second, key.images_per_day) for key in found] == [
        ("crawler", 2.5, 1000),
        ("lab", None, None),
    ]


@pytest.mark.parametrize("rate", [2.5, 0.001, 1234567.5, 1e15])
def test_a_rate_is_written_as_it_is_and_read_again(rate: float, tmp_path: Path) -> None:
    (key,) = read_keys(write(tmp_path / "keys.toml", table_of("one", new_key(), rate, None)))
    assert key.images_per_second == rate


@pytest.mark.parametrize("rate", [float("inf"), float("nan")])
def test_a_rate_that_is_not_a_number_is_refused_before_it_is_written(rate: float) -> None:
    with pytest.raises(KeyFileError, match="is not a rate"):
        table_of("one", new_key(), rate, None)


def test_keys_are_never_the_same_and_hold_256_random_bits() -> None:
    keys = {new_key() for _ in range(100)}
    assert len(keys) == 100
    # 43 characters of 6 bits behind the prefix.
    assert {len(key) for key in keys} == {len("imx_") + 43}


@pytest.fixture(scope="module")
def one_key(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, KeyRing]:
    key = new_key()
    path = tmp_path_factory.mktemp("ring") / "keys.toml"
    path.write_text(table_of("one", key, None, None))
    return key, KeyRing(path)


@given(presented=st.text(max_size=300))
def test_no_other_text_is_taken_for_the_key(presented: str, one_key: tuple[str, KeyRing]) -> None:
    key, ring = one_key
    assert ring.find(key) is not None
    for wrong in (presented, presented + key, key + presented, key[: len(presented)]):
        assert (ring.find(wrong) is None) == (wrong != key)


DIGEST = "a" * 64


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "must hold the table [keys]"),
        ("[keys", "is not a TOML file"),
        ("keys = 3\n", "must hold the table [keys]"),
        (f'[keys.a]\nsha256 = "{DIGEST}"\n[settings]\n', "must hold the table [keys] and nothing else"),
        ("[keys.a]\n", "keys.a.sha256 is not allowed: Field required"),
        ('[keys.a]\nsha256 = "imx_secret"\n', "keys.a.sha256 is not allowed"),
        (f'[keys.a]\nsha256 = "{DIGEST}"\nrate = 3\n', "keys.a.rate is not allowed"),
        (
            f'[keys.a]\nsha256 = "{DIGEST}"\nimages_per_second = 0\n',
            "keys.a.images_per_second is not allowed",
        ),
        (
            f'[keys.a]\nsha256 = "{DIGEST}"\nimages_per_second = inf\n',
            "keys.a.images_per_second is not allowed",
        ),
        (f'[keys.a]\nsha256 = "{DIGEST}"\nimages_per_day = 1.5\n', "keys.a.images_per_day is not allowed"),
        (f'[keys.A]\nsha256 = "{DIGEST}"\n', "'A' is not a name for a key"),
        (f'[keys."a b"]\nsha256 = "{DIGEST}"\n', "'a b' is not a name for a key"),
        (f'[keys.a]\nsha256 = "{DIGEST}"\n[keys.b]\nsha256 = "{DIGEST}"\n', "a and b are the same key"),
    ],
)
def test_a_file_that_breaks_a_rule_is_refused_with_the_rule(text: str, said: str, tmp_path: Path) -> None:
    path = write(tmp_path / "keys.toml", text)
    with pytest.raises(KeyFileError) as caught:
        read_keys(path)
    message = str(caught.value)
    assert said in message
    assert str(path) in message
    # A key in the place of its digest is not repeated.
    assert "imx_secret" not in message


def test_a_missing_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(KeyFileError, match=r"No such file.*INFOMAX_API_KEYS_FILE"):
        KeyRing(tmp_path / "keys.toml")


def test_keys_change_with_the_file_which_is_checked_once_a_second(tmp_path: Path) -> None:
    old, new = new_key(), new_key()
    clock = Clock()
    path = write(tmp_path / "keys.toml", table_of("old", old, None, None))
    ring = KeyRing(path, clock)
    write(path, table_of("new", new, None, None))
    clock.now = 0.9
    assert (ring.find(old) is None, ring.find(new) is None) == (False, True)
    clock.now = 1.0
    assert (ring.find(old) is None, ring.find(new) is None) == (True, False)
    write(path, "[keys]\n")
    clock.now = 2.0
    assert ring.find(new) is None


@pytest.mark.parametrize("damage", ["empty", "half", "gone"])
def test_a_file_that_has_become_invalid_removes_no_key_and_is_logged_once(
    damage: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    key = new_key()
    clock = Clock()
    text = table_of("one", key, None, None)
    path = write(tmp_path / "keys.toml", text)
    ring = KeyRing(path, clock)
    if damage == "gone":
        path.unlink()
    else:
        write(path, text[:20] if damage == "half" else "")
    for second in range(1, 4):
        clock.now = second
        assert ring.find(key) is not None
    (record,) = (record for record in caplog.records if record.levelno == logging.ERROR)
    assert "the API keys stay as they were" in record.getMessage()
    assert str(path) in record.getMessage()
    # Once it is right again, it counts.
    other = new_key()
    write(path, table_of("other", other, None, None))
    clock.now = 4.0
    assert (ring.find(key), ring.find(other) is None) == (None, False)


def test_a_change_that_keeps_the_size_and_the_name_is_seen(tmp_path: Path) -> None:
    first, second = new_key(), new_key()
    clock = Clock()
    path = write(tmp_path / "keys.toml", table_of("one", first, None, None))
    ring = KeyRing(path, clock)
    before = path.stat()
    path.write_text(table_of("one", second, None, None))
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns + 1))
    clock.now = 1.0
    assert (ring.find(first), ring.find(second) is None) == (None, False)
