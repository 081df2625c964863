"""What tests of measuring share: classifiers that are fitted to the end."""

import pytest

from training.evaluation.probes import penalised

# Read before a fixture of the session changes them.
_CHOOSING_STEPS, _FITTING_STEPS = penalised._CHOOSING_STEPS, penalised._FITTING_STEPS


@pytest.fixture(autouse=True)
def whole_fits(monkeypatch: pytest.MonkeyPatch) -> None:
    """Undo what `quick_exports` does to them."""
    monkeypatch.setattr(penalised, "_CHOOSING_STEPS", _CHOOSING_STEPS)
    monkeypatch.setattr(penalised, "_FITTING_STEPS", _FITTING_STEPS)
