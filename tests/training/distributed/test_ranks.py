"""Several processes train as one: what two of them do is what one does with the joint batch."""

import os
import signal
import socket
import subprocess
import sys
from multiprocessing import get_context
from multiprocessing.connection import wait
from pathlib import Path
from typing import Any

import pytest
import torch

from tests.training.command import EXECUTABLE, MANY_STEPS
from tests.training.two_ranks import CASES, RESUMED, leave_results, outcome
from training.distributed import ranks
from training.errors import TrainingError
from training.loop import checkpoint
from training.loop.metrics import read_points
from training.loop.trainer import check_batches
from training.recipe import Recipe

ONE_VIEW = {"views": 1, "encoder": {"name": "dim32"}}
TORCHRUN = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]


@pytest.fixture(scope="module")
def together(tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, dict[str, Any]]]:
    """What each of two ranks found: forks of this process, which has loaded PyTorch already."""
    folder = tmp_path_factory.mktemp("ranks")
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    forks = [
        get_context("fork").Process(target=leave_results, args=(folder, rank, port)) for rank in range(2)
    ]
    for fork in forks:
        fork.start()
    while running := [fork for fork in forks if fork.exitcode is None]:
        wait([fork.sentinel for fork in running])
        # One that has failed would be waited for by the other.
        for fork in running if any(fork.exitcode for fork in forks) else ():
            fork.kill()
    assert [fork.exitcode for fork in forks] == [0, 0]
    return [torch.load(folder / f"{rank}-of-2.pt") for rank in range(2)]


@pytest.mark.parametrize("case", CASES)
def test_two_ranks_are_one_process_with_the_joint_batch(
    case: str, together: list[dict[str, dict[str, Any]]], tmp_path: Path
) -> None:
    alone = outcome(CASES[case], tmp_path)
    for found in (rank[case] for rank in together):
        assert found["values"][0] == pytest.approx(alone["values"][0], rel=1e-5, abs=1e-5)
        # So small a batch makes differences of rounding grow from step to step.
        for one, both in zip(alone["values"], found["values"], strict=True):
            assert both == pytest.approx(one, rel=1e-4, abs=1e-4)
        torch.testing.assert_close(found["gradients"], alone["gradients"], rtol=1e-4, atol=1e-5)
        for name, state in alone["state"].items():
            # Adam makes a whole step of a gradient that is mere rounding error; such weights may differ.
            gradient = alone["gradients"].get(name, torch.ones_like(state))
            told = gradient.abs() > 1e-4 * gradient.abs().max()
            torch.testing.assert_close(found["state"][name][told], state[told], rtol=1e-5, atol=1e-5)


def test_ranks_agree_on_every_bit(together: list[dict[str, dict[str, Any]]]) -> None:
    first, second = together
    for case in CASES:
        assert first[case]["values"] == second[case]["values"]
        for name, state in first[case]["state"].items():
            assert torch.equal(state, second[case]["state"][name]), name


def test_ranks_that_resume_go_on_to_the_same_weights(together: list[dict[str, dict[str, Any]]]) -> None:
    for rank in together:
        for name, state in rank[RESUMED]["state"].items():
            assert torch.equal(state, rank[RESUMED]["resumed"][name]), name


def test_ctrl_c_stops_all_ranks_and_the_first_alone_has_written(
    sample_train: Path, decoded: Path, tmp_path: Path
) -> None:
    many_steps = tmp_path / "many_steps.toml"
    many_steps.write_text(MANY_STEPS)
    out = tmp_path / "run"
    train = ["train", "--recipe", many_steps, "--data", sample_train, "--out", out, "--no-report"]
    process = subprocess.Popen(
        [*TORCHRUN, EXECUTABLE, *map(str, train)],
        env=os.environ | {"OMP_NUM_THREADS": "1", "XDG_CACHE_HOME": str(decoded)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    assert process.stderr is not None
    for line in process.stderr:
        if line.startswith("training: "):
            break
    # To all of them, as a terminal sends it; torchrun then sends it to its processes once more.
    os.killpg(process.pid, signal.SIGINT)
    said, errors = process.communicate()
    assert process.returncode != 0, errors
    assert said.count("Stopped after step") == 1, said
    state = checkpoint.load(out)
    assert 0 < state["step"] < state["total_steps"]
    assert state["provenance"]["ranks"] == 2
    steps = [point["step"] for point in read_points(out)]
    assert len(steps) == len(set(steps))


def test_a_batch_that_ranks_cannot_share_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    recipe = Recipe.model_validate({"name": "odd", "epochs": 1, "batch_size": 63, **ONE_VIEW})
    assert check_batches(recipe, 300) == 270 // 63
    monkeypatch.setattr(ranks, "count", lambda: 2)
    with pytest.raises(
        TrainingError, match=r"63 cannot be shared evenly by 2 processes\. Make it a multiple of 2"
    ):
        check_batches(recipe, 300)
