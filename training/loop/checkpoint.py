"""The state of a run on disk: written whole or not at all, read without executing anything."""

import os
from io import BytesIO
from pathlib import Path
from typing import Any

import torch
from torch.torch_version import TorchVersion

from training.errors import TrainingError
from training.loop import run_files

FILE = run_files.CHECKPOINT


def save(folder: Path, state: dict[str, Any]) -> Path:
    """Write `state` to `folder/checkpoint.pt` atomically: a crash leaves the previous checkpoint intact.

    Raises:
        OSError: the disk is full, or the folder cannot be written; what was begun is removed.
    """
    target = folder / FILE
    partial = target.with_suffix(".partial")
    # In memory first: torch hides a full disk behind an error of its own.
    content = BytesIO()
    torch.save(state, content)
    try:
        with partial.open("wb") as file:
            file.write(content.getbuffer())
            file.flush()
            os.fsync(file.fileno())
        partial.replace(target)
    except OSError:
        partial.unlink(missing_ok=True)
        raise
    return target


def exists(folder: Path) -> bool:
    """Tell whether a run in this folder has a checkpoint."""
    return (folder / FILE).is_file()


def load(folder: Path) -> dict[str, Any]:
    """Read `folder/checkpoint.pt`, tensors and plain values only.

    Raises:
        TrainingError: there is none, or it cannot be read.
    """
    path = folder / FILE
    if not path.is_file():
        raise TrainingError(f"{folder} has no {FILE}. Start the run without --resume.")
    try:
        # torch's own version is a string of a class of its own, and checkpoints exist that hold one.
        with torch.serialization.safe_globals([TorchVersion]):
            state: Any = torch.load(path, weights_only=True, map_location="cpu")
    except Exception as error:
        # torch.load raises many types on a damaged file; all mean the same to the user.
        raise TrainingError(f"{path} cannot be read ({error}). Train anew in another folder.") from error
    if not isinstance(state, dict) or not isinstance(state.get("learner"), dict):
        raise TrainingError(f"{path} is not the checkpoint of a run. Name the folder of one.")
    # Runs once fitted embeddings as they went, and kept them among the weights; `embedded` fits its own.
    weights = state["learner"]
    for name in [name for name in weights if "_embedding." in name]:
        del weights[name]
    return state
