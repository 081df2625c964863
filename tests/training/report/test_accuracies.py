"""Every classifier that a card may state has a name wherever cards are shown."""

from pathlib import Path
from typing import get_args

import pytest

from contract.card import ModelCard, ProbeScore, Quality
from training.export.model_readme import readme
from training.report.accuracies import accuracy_rows
from training.report.baselines import Baselines

ROOT = Path(__file__).parents[3]
PROBES = get_args(ProbeScore.model_fields["probe"].annotation)


@pytest.mark.parametrize("probe", PROBES)
def test_report_readme_and_page_name_it(probe: str) -> None:
    k = 200 if probe.endswith("knn") else None
    score = ProbeScore.model_validate(
        {"layer": "fc", "dimensions": 8, "probe": probe, "k": k, "accuracy": 0.5}
    )
    quality = Quality(split="some", images=10, majority=0.1, scores=(score,))
    (row,) = accuracy_rows(quality, Baselines(untrained=(), pixels={}))
    assert "fc" in row.name
    assert ("200" in row.name) == (k is not None)
    card = ModelCard.model_validate_json((ROOT / "models" / "cifar10" / "4" / "card.json").read_text())
    assert "| fc |" in readme(card.model_copy(update={"quality": quality}))
    assert f"  {probe}: " in (ROOT / "service" / "page" / "models.js").read_text()
