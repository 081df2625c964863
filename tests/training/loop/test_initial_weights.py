"""Starts: weights of files and runs, taken where names and shapes agree, refused in a sentence elsewhere."""

from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor

from training.errors import TrainingError
from training.loop.initial_weights import initialise, read_weights
from training.model.encoders import BackboneEncoder, Encoder, build_encoder
from training.recipe import EncoderRecipe


def encoder(seed: int, name: str = "resnet18") -> Encoder:
    torch.manual_seed(seed)
    return build_encoder(EncoderRecipe(name=name, hidden_units=16), 64 if name == "resnet18" else 32)


def trunk_of(one: Encoder) -> dict[str, Tensor]:
    assert isinstance(one, BackboneEncoder)
    return one.trunk.state_dict()


@pytest.mark.parametrize("prefix", ["", "module.", "backbone."])
@pytest.mark.parametrize("kind", ["safetensors", "pt", "nested"])
def test_a_trunk_starts_from_a_file(tmp_path: Path, kind: str, prefix: str) -> None:
    source = trunk_of(encoder(1))
    named = {prefix + name: value for name, value in source.items()} | {"fc.weight": torch.zeros(3)}
    path = tmp_path / f"weights.{'safetensors' if kind == 'safetensors' else 'pth'}"
    if kind == "safetensors":
        save_file(named, path)
    else:
        torch.save({"state_dict": named, "epoch": 3} if kind == "nested" else named, path)
    target = encoder(2)
    start = initialise(target, read_weights(path), path)
    for name, value in trunk_of(target).items():
        torch.testing.assert_close(value, source[name])
    assert start.missing == ()
    assert start.unused == ("fc.weight",)


def test_what_is_missing_is_named(tmp_path: Path) -> None:
    weights = trunk_of(encoder(1))
    del weights["conv1.weight"]
    start = initialise(encoder(2), weights, tmp_path)
    assert start.missing == ("conv1.weight",)
    assert "conv1.weight" in str(start)


def test_a_run_starts_from_an_earlier_one(tmp_path: Path) -> None:
    source = encoder(1, "dim32")
    learner = {f"encoder.{name}": value for name, value in source.state_dict().items()}
    torch.save({"learner": learner | {"local.weight": torch.zeros(2)}}, tmp_path / "checkpoint.pt")
    target = encoder(2, "dim32")
    initialise(target, read_weights(tmp_path), tmp_path)
    for name, value in target.state_dict().items():
        torch.testing.assert_close(value, source.state_dict()[name])


class Code:
    def __reduce__(self) -> tuple[object, tuple[str]]:
        return print, ("code of a file was run",)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("absent", "There is no file"),
        (b"nonsense", "is damaged"),
        ({"weights": Code()}, "code, which is not run"),
        ({"epoch": 3}, "holds no tensors by name"),
        ({"conv1.weight": torch.zeros(64, 3, 3, 3)}, "conv1.weight is [64, 3, 3, 3] in the file"),
        ({"stem.weight": torch.zeros(3)}, "no name agrees"),
    ],
)
def test_weights_that_do_not_fit_are_one_sentence(
    tmp_path: Path, content: object, said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "weights.pth"
    if isinstance(content, bytes):
        path.write_bytes(content)
    elif content != "absent":
        torch.save(content, path)
    with pytest.raises(TrainingError) as caught:
        initialise(encoder(2), read_weights(path), path)
    assert said in str(caught.value)
    assert "code of a file was run" not in capsys.readouterr().out


def test_a_folder_that_is_not_a_run_is_named(tmp_path: Path) -> None:
    with pytest.raises(TrainingError, match="not the folder of a run or of a model"):
        read_weights(tmp_path)
