"""Checkpoints: whole or not at all, and never a program."""

import json
import os
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from tests.training.command import RECIPE
from training import recipe_file
from training.errors import TrainingError
from training.loop import checkpoint
from training.loop.run import Run


def state(step: int) -> dict[str, Any]:
    return {"learner": {}, "step": step}


def test_what_was_saved_is_read_again(tmp_path: Path) -> None:
    checkpoint.save(tmp_path, {"step": 3, "learner": {"w": torch.arange(4.0)}})
    state = checkpoint.load(tmp_path)
    assert state["step"] == 3
    assert torch.equal(state["learner"]["w"], torch.arange(4.0))


def test_the_version_of_torch_is_read_again_though_it_is_no_plain_string(tmp_path: Path) -> None:
    checkpoint.save(tmp_path, {"learner": {}, "torch": torch.__version__})
    assert checkpoint.load(tmp_path)["torch"] == torch.__version__


def test_a_process_that_dies_before_the_rename_leaves_the_previous_checkpoint(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    checkpoint.save(tmp_path, state(1))

    def die(self: Path, target: Path) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(Path, "replace", die)
        with pytest.raises(KeyboardInterrupt):
            checkpoint.save(tmp_path, state(2))
    assert checkpoint.load(tmp_path) == state(1)


def test_half_a_file_of_a_crash_is_neither_read_nor_in_the_way(tmp_path: Path) -> None:
    checkpoint.save(tmp_path, state(1))
    whole = (tmp_path / checkpoint.FILE).read_bytes()
    (tmp_path / "checkpoint.partial").write_bytes(whole[: len(whole) // 2])
    assert checkpoint.load(tmp_path) == state(1)
    checkpoint.save(tmp_path, state(2))
    assert checkpoint.load(tmp_path) == state(2)
    assert [path.name for path in tmp_path.iterdir()] == [checkpoint.FILE]


class _Program:
    def __init__(self, victim: Path) -> None:
        self.victim = victim

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return os.mkdir, (str(self.victim),)


@pytest.mark.parametrize("write", [torch.save, lambda state, path: path.write_bytes(pickle.dumps(state))])
def test_a_checkpoint_that_would_run_something_is_refused(
    tmp_path: Path, write: Callable[[Any, Path], Any]
) -> None:
    victim = tmp_path / "was_run"
    write({"step": _Program(victim)}, tmp_path / checkpoint.FILE)
    with pytest.raises(TrainingError, match="cannot be read"):
        checkpoint.load(tmp_path)
    assert not victim.exists()


@pytest.mark.parametrize("content", [[1, 2], {"a": torch.zeros(1)}, {"learner": 3}])
def test_a_file_that_is_no_checkpoint_of_a_run_is_a_sentence(tmp_path: Path, content: object) -> None:
    torch.save(content, tmp_path / checkpoint.FILE)
    with pytest.raises(TrainingError, match="is not the checkpoint of a run"):
        checkpoint.load(tmp_path)


def test_a_folder_without_a_checkpoint_is_named(tmp_path: Path) -> None:
    with pytest.raises(TrainingError, match=r"has no checkpoint\.pt"):
        checkpoint.load(tmp_path)


def test_a_run_goes_on_though_its_recipe_has_no_key_of_a_later_version(tmp_path: Path) -> None:
    recipe = recipe_file.from_toml(RECIPE)
    run = Run(recipe, tmp_path, total_steps=4)
    run.save()
    state = checkpoint.load(tmp_path)
    record = json.loads(state["recipe"])
    del record["resize_rule"], record["kept_size"]
    checkpoint.save(tmp_path, state | {"recipe": json.dumps(record)})
    Run(recipe, tmp_path, total_steps=4).resume()
    for other in ({"resize_rule": "letterbox"}, {"key": "of a version to come"}):
        checkpoint.save(tmp_path, state | {"recipe": json.dumps(record | other)})
        with pytest.raises(TrainingError, match="another recipe"):
            Run(recipe, tmp_path, total_steps=4).resume()
