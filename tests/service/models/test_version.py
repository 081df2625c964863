"""A version is examined in a process of its own."""

from pathlib import Path

import pytest

from contract.errors import ArtefactError
from service.models.finding import find_version
from service.models.version import examine, examine_served
from tests.service.faults import settings


def test_a_child_finds_what_this_process_finds_and_publishes_no_gauge(
    tiny_models: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PROMETHEUS_MULTIPROC_DIR", str(tmp_path))
    chosen = settings(tiny_models)
    assert examine(chosen, "tiny") == find_version(chosen, "tiny")
    assert not list(tmp_path.iterdir())


def test_all_served_models_are_examined_together_in_their_order(tiny_models: Path) -> None:
    chosen = settings(tiny_models, model="tiny", models="tiny/1")
    served = examine_served(chosen)
    assert served == tuple(find_version(chosen, entry) for entry in chosen.served_models)
    assert [version.entry for version in served] == ["tiny", "tiny/1"]


def test_an_error_in_the_child_is_that_of_this_process(tiny_models: Path) -> None:
    with pytest.raises(ArtefactError, match=r"holds no model other; it holds tiny/1\."):
        examine(settings(tiny_models), "other")
