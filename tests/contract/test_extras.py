"""How an extra is installed: by what this distribution and its Makefile know."""

import re
import tomllib
from pathlib import Path

import pytest

import service.cli
import training.cli
from contract.extras import OF_MAKE_SETUP, installation

ROOT = Path(__file__).parents[2]


def test_make_setup_installs_what_is_said_of_it() -> None:
    (extras,) = re.findall(
        r"^\t\$\(PIP\) --editable '\.\[(training,[^]]+)\]'", (ROOT / "Makefile").read_text(), re.M
    )
    assert {"serving", *extras.split(",")} >= OF_MAKE_SETUP


@pytest.mark.parametrize("extra", ["serving", "training", "ray", "tracing", "gpu"])
def test_only_what_pip_finds_is_named(extra: str) -> None:
    assert extra in tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    said = installation(extra)
    assert f"pip install '.[{extra}]'" in said
    assert f"pip install 'FILE.whl[{extra}]'" in said
    assert ("make setup" in said) == (extra != "gpu")


def test_no_page_and_no_message_names_a_package_of_an_index() -> None:
    files = [ROOT / "README.md", *(ROOT / "docs").glob("*.md")]
    for folder in ("contract", "infomax", "service", "training"):
        files += (ROOT / folder).rglob("*.py")
    of_an_index = re.compile(r"pip install '?infomax\b|install infomax\[", re.IGNORECASE)
    named = [file.name for file in files if of_an_index.search(file.read_text())]
    # The module that says why there is none.
    assert named == ["extras.py"]


def test_every_extra_of_a_command_is_one() -> None:
    known = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    commands = [*service.cli.COMMANDS.values(), *training.cli.COMMANDS.values()]
    assert {command.extra for command in commands if command.needs} <= set(known)
