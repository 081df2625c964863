"""What each of two processes does in test_ranks.py: three steps of every case."""

import os
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist
from torch import Generator, Tensor

from training.distributed import ranks
from training.loop.execution import Execution, prepare
from training.loop.run import Run
from training.recipe import Recipe

STEPS = 3
BATCH = 8
_PARTS: dict[str, Any] = {
    "name": "test",
    "epochs": 1,
    "batch_size": BATCH,
    "encoder": {"name": "dim32", "code_units": 4},
    "critic": {"units": 4, "temperature": 0.5},
    # Small, because rounding errors grow from step to step.
    "optimiser": {"learning_rate": 1e-5},
}
# One case for each way in which ranks exchange something.
CASES: dict[str, dict[str, Any]] = {
    "two views, pairwise, prior": {
        "views": 2,
        "augmentation": {},
        "objective": {
            "maps": {"features": 0.5, "conv": 1.0},
            "positions": 2,
            "pairwise_weight": 1.0,
            "prior_weight": 0.5,
        },
    },
    "one view, dv, global": {
        "views": 1,
        "objective": {"estimator": "dv", "global_weight": 0.5, "positions": 2},
        "critic": {"units": 4},
    },
    "concat and convolve, jsd": {
        "views": 1,
        "objective": {"estimator": "jsd", "positions": 2},
        "critic": {"name": "concat_and_convolve", "units": 4},
    },
}
RESUMED = next(iter(CASES))


def batches() -> Tensor:
    """uint8 [STEPS, BATCH, 32, 32, 3]."""
    generator = Generator().manual_seed(0)
    return torch.randint(0, 256, (STEPS, BATCH, 32, 32, 3), dtype=torch.uint8, generator=generator)


def outcome(changes: dict[str, Any], folder: Path, execution: Execution = Execution()) -> dict[str, Any]:
    """Values of each step, the first step's gradients, and the state after the last."""
    recipe = Recipe.model_validate(_PARTS | changes)
    run = Run(recipe, folder, total_steps=2 * STEPS, execution=execution)
    values: list[Any] = []
    gradients: dict[str, Any] = {}
    for batch in batches():
        values.append(run.take_step(ranks.share(batch)))
        if not gradients:
            gradients = {
                name: parameter.grad.clone()
                for name, parameter in run.learner.named_parameters()
                if parameter.grad is not None
            }
    return {"values": values, "gradients": gradients, "state": run.learner.state_dict()}


def resumed(changes: dict[str, Any], folder: Path) -> dict[str, Tensor]:
    """The state after all steps, when a checkpoint was written and read before the last one."""
    recipe = Recipe.model_validate(_PARTS | changes)
    *before, last = batches()
    first = Run(recipe, folder, total_steps=2 * STEPS)
    for batch in before:
        first.take_step(ranks.share(batch))
    first.save()
    ranks.wait()
    second = Run(recipe, folder, total_steps=2 * STEPS)
    second.resume()
    second.take_step(ranks.share(last))
    return second.learner.state_dict()


def leave_results(folder: Path, rank: int, port: int) -> None:
    """Be one of two ranks, described as torchrun does; leave what came out in `FOLDER/RANK-of-COUNT.pt`."""
    os.environ |= {"RANK": str(rank), "LOCAL_RANK": str(rank), "WORLD_SIZE": "2", "LOCAL_WORLD_SIZE": "2"}
    os.environ |= {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port)}
    execution = Execution()
    prepare(execution)
    with ranks.joined(execution.device):
        results = {name: outcome(changes, folder) for name, changes in CASES.items()}
        results[RESUMED]["resumed"] = resumed(CASES[RESUMED], folder)
        torch.save(results, folder / f"{dist.get_rank()}-of-{ranks.count()}.pt")
