"""A version is examined in a process of its own."""

from pathlib import Path

import pytest

from contract.errors import ArtefactError
from service.models.opening import find_version
from service.models.version import examine
from tests.service.faults import settings


def test_a_child_finds_what_this_process_finds_and_publishes_no_gauge(
    tiny_models: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PROMETHEUS_MULTIPROC_DIR", str(tmp_path))
    chosen = settings(tiny_models)
    assert examine(chosen, "tiny") == find_version(chosen, "tiny")
    assert not list(tmp_path.iterdir())


def test_an_error_in_the_child_is_that_of_this_process(tiny_models: Path) -> None:
    with pytest.raises(ArtefactError, match=r"holds no model other; it holds tiny/1\."):
        examine(settings(tiny_models), "other")
