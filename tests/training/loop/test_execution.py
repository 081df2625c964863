"""Ways to compute a run: what can be told of them without a GPU."""

from pathlib import Path
from typing import Any

import pytest
import torch

from tests.training.two_ranks import CASES, outcome
from training.errors import TrainingError
from training.loop.execution import Execution, choose
from training.loop.run import Run
from training.recipe import Recipe

CASE = CASES["two views, pairwise, prior"]


def test_what_is_asked_for_is_chosen(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert choose("auto", "auto", compiled=False) == Execution(torch.device("cpu"), "float32", compiled=False)
    assert choose("cpu", "bfloat16", compiled=False).precision == "bfloat16"
    with pytest.raises(TrainingError, match=r"sees no GPU here.*or use --device cpu"):
        choose("cuda", "auto", compiled=False)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    assert choose("auto", "auto", compiled=False) == Execution(torch.device("cuda", 0), "bfloat16")
    assert choose("auto", "float32", compiled=False).precision == "float32"
    assert choose("cpu", "auto", compiled=False) == Execution()
    monkeypatch.setenv("LOCAL_RANK", "1")
    with pytest.raises(TrainingError, match="Process 2 of this machine finds 1 GPU"):
        choose("auto", "auto", compiled=False)


def test_bfloat16_stays_close_and_leaves_weights_in_float32(tmp_path: Path) -> None:
    exact = outcome(CASE, tmp_path)
    rounded = outcome(CASE, tmp_path, Execution(precision="bfloat16"))
    for one, other in zip(exact["values"], rounded["values"], strict=True):
        assert other == pytest.approx(one, rel=0.1, abs=0.2)
    assert exact["values"] != rounded["values"]
    assert {value.dtype for value in rounded["state"].values()} == {torch.float32, torch.int64}


def test_scores_are_float32_under_autocast(tmp_path: Path) -> None:
    run = Run(Recipe.model_validate(_one_view()), tmp_path, 1)
    critic = run.learner.local["features"].critic  # type: ignore[union-attr,index]
    with Execution(precision="bfloat16").autocast():
        assert critic(torch.randn(4, 128, 2), torch.randn(4, 64)).dtype == torch.float32


# Of PyTorch, about itself, when its compiler is loaded.
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_a_compiled_encoder_gives_the_same_losses(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # Not in processes of its own, which would import PyTorch first.
    monkeypatch.setattr("torch._inductor.config.compile_threads", 1)
    # Nor with vectors: which of them the machine has is found out by compiling ten programs.
    monkeypatch.setattr("torch._inductor.config.cpp.vec_isa_ok", False)
    try:
        execution = choose("cpu", "float32", compiled=True)
    except TrainingError as error:
        pytest.skip(str(error))
    plain, compiled = outcome(CASE, tmp_path), outcome(CASE, tmp_path, execution)
    for one, other in zip(plain["values"], compiled["values"], strict=True):
        assert other == pytest.approx(one, rel=1e-3, abs=1e-4)
    assert list(plain["state"]) == list(compiled["state"])


def _one_view() -> dict[str, Any]:
    return {
        "name": "test",
        "epochs": 1,
        "views": 1,
        "encoder": {"name": "dim32"},
        "critic": {"units": 8, "temperature": 0.1},
    }
