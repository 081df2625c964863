"""Weights that a run starts from: of a file, or of an earlier run's encoder."""

import pickle
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from contract.card import CARD_FILE
from training.errors import TrainingError
from training.loop import checkpoint
from training.model.encoders import BackboneEncoder, Encoder

_SHOWN = 3
# Where checkpoints of common trainers keep the weights.
_NESTED = ("state_dict", "model", "model_state_dict")
_WRAPPERS = ("module.", "model.", "encoder.", "backbone.")


@dataclass(frozen=True)
class Start:
    """What was loaded.

    Attributes:
        loaded: number of tensors.
        missing: names of the encoder's tensors that the file does not hold; they start at random.
        unused: names of the file's tensors that the encoder has no place for.
    """

    loaded: int
    missing: tuple[str, ...]
    unused: tuple[str, ...]

    def __str__(self) -> str:
        parts = [f"{self.loaded} tensors loaded"]
        if self.missing:
            parts.append(
                f"{len(self.missing)} not in the file ({_some(self.missing)}), which start at random"
            )
        if self.unused:
            parts.append(f"{len(self.unused)} of the file not used ({_some(self.unused)})")
        return "; ".join(parts) + "."


def read_weights(path: Path) -> dict[str, Tensor]:
    """Read named tensors.

    Args:
        path: `.safetensors`, a PyTorch file (only tensors are read, no code), or the folder of a run.

    Raises:
        TrainingError: it does not exist, is damaged, or holds no tensors.
    """
    if path.is_dir():
        return _of_run(path)
    try:
        if path.suffix == ".safetensors":
            from safetensors.torch import load_file

            return dict(load_file(path))
        content = torch.load(path, map_location="cpu", weights_only=True)
    except FileNotFoundError as error:
        raise TrainingError(f"There is no file {path}. Name weights or the folder of a run.") from error
    except pickle.UnpicklingError as error:
        raise TrainingError(
            f"{path} is damaged, or holds code, which is not run. Save a state_dict() alone."
        ) from error
    except Exception as error:
        # Both libraries raise what they like on damaged bytes.
        raise TrainingError(
            f"{path} cannot be read as weights ({' '.join(str(error).split())}). Save it anew."
        ) from error
    tensors = _tensors(content)
    if not tensors:
        raise TrainingError(f"{path} holds no tensors by name. Save a state_dict().")
    return tensors


def initialise(encoder: Encoder, weights: Mapping[str, Tensor], source: Path) -> Start:
    """Copy weights into an encoder, or into the trunk of one, wherever names and shapes agree.

    Raises:
        TrainingError: no name agrees, or an agreeing name has another shape.
    """
    return _initialise(
        [encoder, encoder.trunk] if isinstance(encoder, BackboneEncoder) else [encoder], weights, source
    )


def initialise_module(module: nn.Module, weights: Mapping[str, Tensor], source: Path) -> Start:
    """Copy weights into any module, as `initialise` does.

    Raises:
        TrainingError: no name agrees, or an agreeing name has another shape.
    """
    return _initialise([module], weights, source)


def _initialise(targets: Sequence[nn.Module], weights: Mapping[str, Tensor], source: Path) -> Start:
    target, named = max(
        ((target, _renamed(weights, target)) for target in targets), key=lambda pair: len(pair[1])
    )
    own = target.state_dict()
    if not named:
        raise TrainingError(
            f"{source} does not fit the encoder: no name agrees. It holds {_some(tuple(weights))}, "
            f"the encoder has {_some(tuple(own))}."
        )
    wrong = [name for name, value in named.items() if value.shape != own[name].shape]
    if wrong:
        name = wrong[0]
        raise TrainingError(
            f"{source} does not fit the encoder: {name} is {list(named[name].shape)} in the file and "
            f"{list(own[name].shape)} here. Change the recipe's encoder, or take other weights."
        )
    target.load_state_dict(named, strict=False)
    missing = tuple(name for name in own if name not in named and "num_batches_tracked" not in name)
    return Start(len(named), missing, tuple(sorted(set(weights) - _used(weights, named))))


def _renamed(weights: Mapping[str, Tensor], target: nn.Module) -> dict[str, Tensor]:
    """Find the weights that a module has a place for, with the prefixes of wrappers taken off."""
    own = target.state_dict()
    best: dict[str, Tensor] = {}
    for prefix in ("", *_WRAPPERS):
        found = {
            name.removeprefix(prefix): value
            for name, value in weights.items()
            if name.startswith(prefix) and name.removeprefix(prefix) in own
        }
        if len(found) > len(best):
            best = found
    return best


def _used(weights: Mapping[str, Tensor], named: Mapping[str, Tensor]) -> set[str]:
    taken = {id(value) for value in named.values()}
    return {name for name, value in weights.items() if id(value) in taken}


def _of_run(folder: Path) -> dict[str, Tensor]:
    if not (folder / checkpoint.FILE).is_file():
        raise TrainingError(
            f"{folder} is not the folder of a run or of a model. It holds no {checkpoint.FILE} and no "
            f"{CARD_FILE}."
        )
    learner = _tensors(checkpoint.load(folder)["learner"])
    prefix = "encoder."
    return {name.removeprefix(prefix): value for name, value in learner.items() if name.startswith(prefix)}


def _tensors(content: Any) -> dict[str, Tensor]:
    if isinstance(content, Mapping):
        for key in _NESTED:
            if isinstance(content.get(key), Mapping):
                return _tensors(content[key])
        return {str(name): value for name, value in content.items() if isinstance(value, Tensor)}
    return {}


def _some(names: tuple[str, ...]) -> str:
    return ", ".join(names[:_SHOWN]) + (", …" if len(names) > _SHOWN else "")
