"""The notebook, executed as it stands against the shipped model."""

from pathlib import Path
from typing import Any

import pytest

from tests.end_to_end.server import ROOT, serving

nbclient = pytest.importorskip("nbclient", reason="the extra docs is not installed")
nbformat = pytest.importorskip("nbformat")

NOTEBOOK = ROOT / "docs" / "notebooks" / "tour.ipynb"
ADDRESS = "http://localhost:8000"


def kinds(notebook: Any) -> list[list[str]]:
    """What each cell of code put out: text, pictures."""
    return [
        [kind for output in cell.outputs for kind in sorted(output.get("data", {"text": ""}))]
        for cell in notebook.cells
        if cell.cell_type == "code"
    ]


def test_the_notebook_runs_and_puts_out_what_it_shows(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Otherwise both lie in the user's home.
    monkeypatch.setenv("IPYTHONDIR", str(tmp_path / "ipython"))
    monkeypatch.setenv("JUPYTER_RUNTIME_DIR", str(tmp_path / "jupyter"))
    kept = nbformat.read(NOTEBOOK, as_version=4)
    assert any("image/png" in one for one in kinds(kept))
    run = nbformat.read(NOTEBOOK, as_version=4)
    assert sum(cell.source.count(ADDRESS) for cell in run.cells) == 1
    with serving(ROOT / "models", tmp_path, model="photos", workers=1) as server:
        for cell in run.cells:
            cell.source = cell.source.replace(ADDRESS, server.url)
        nbclient.NotebookClient(run, resources={"metadata": {"path": str(NOTEBOOK.parent)}}).execute()
    assert kinds(run) == kinds(kept)


def test_the_notebook_is_small() -> None:
    assert NOTEBOOK.stat().st_size < 300_000
