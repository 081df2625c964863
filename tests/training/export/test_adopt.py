"""Adopted encoders: what they compute stays, what they lack is fitted, and what cannot work is a sentence."""

import sys
from pathlib import Path

import numpy as np
import onnxruntime
import pytest
import torch
from safetensors.torch import save_file

from contract.artefact import open_artefact
from service.inference.model import open_model
from service.settings import Settings
from tests.once import once
from tests.training.command import Answer, Infomax, run
from training.data import ImageSet

MODULE = '''
import torch
from torch import nn

class Net(nn.Module):
    """Three convolutions and a classifier; `spare` never runs."""

    def __init__(self, width=8, constant=False):
        super().__init__()
        self.first = nn.Conv2d(3, width, 4, 2, 1)
        self.second = nn.Conv2d(width, width, 4, 2, 1)
        self.third = nn.Conv2d(width, 2 * width, 3, 2, 1)
        self.activation = nn.ReLU()
        self.spare = nn.Conv2d(3, 3, 1)
        self.pair = Pair()
        self.classifier = nn.Linear(2 * width, 1000)
        if constant:
            self.third.weight.data.zero_()
            self.third.bias.data.fill_(2.0)

    def forward(self, images):
        hidden = self.activation(self.second(self.activation(self.first(images))))
        self.pair(hidden)
        return self.classifier(self.activation(self.third(hidden)).mean(dim=(2, 3)))

class Pair(nn.Module):
    def forward(self, images):
        return images, images

def net(width=8, constant=False):
    torch.manual_seed(0)
    return Net(width, constant)
'''
LAYERS = ("--features", "second", "--conv", "activation")


@pytest.fixture(scope="module")
def adopted_net(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the module `adopted_net`."""
    folder = tmp_path_factory.mktemp("packages")
    (folder / "adopted_net.py").write_text(MODULE)
    return folder


@pytest.fixture(scope="module")
def adopted_model(
    adopted_net: Path, sample_train: Path, sample_test: Path, tmp_path_factory: pytest.TempPathFactory
) -> Path:
    """The folder `small/1`, made by the command; read-only for tests."""

    def make(folder: Path) -> None:
        options = ("--data", sample_train, "--held-out", sample_test, "--name", "small", "--models", folder)
        how = ("--factory", "adopted_net:net", "--argument", "width=8", "--size", "32", *LAYERS)
        with pytest.MonkeyPatch.context() as patch:
            patch.syspath_prepend(str(adopted_net))
            run(patch, "adopt", *options, *how, cache=folder / "cache")
        del sys.modules["adopted_net"]

    return once(tmp_path_factory, "adopted_models", make) / "small" / "1"


def outputs(model: Path, pixels: np.ndarray, *names: str) -> list[np.ndarray]:
    session = onnxruntime.InferenceSession(model / "encoder.onnx", providers=["CPUExecutionProvider"])
    found: list[np.ndarray] = session.run(list(names), {"image": pixels})
    return found


def test_the_service_serves_it_with_maps(adopted_model: Path, held_out: ImageSet) -> None:
    model = open_model(Settings(models_dir=adopted_model.parents[1], model="small", device="cpu"))
    model.self_test()
    encoded = model.encode(held_out.pixels[:5], features=True)
    maps = model.criticise(encoded.features, encoded.code, projections=False).mi_map
    assert maps.shape == (5, 8, 8)
    assert np.linalg.norm(encoded.embedding, axis=1) == pytest.approx(1, abs=1e-5)


def test_what_it_computed_elsewhere_it_computes_here(
    adopted_model: Path, adopted_net: Path, held_out: ImageSet, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(str(adopted_net))
    net = __import__("adopted_net").net().eval()
    pixels = held_out.pixels[:7]
    mean, std = (torch.tensor(each).view(3, 1, 1) for each in ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)))
    images = (torch.from_numpy(pixels).permute(0, 3, 1, 2) / 255 - mean) / std
    with torch.no_grad():
        features = net.second(net.activation(net.first(images)))
        vector = net.activation(net.third(net.activation(features))).mean(dim=(2, 3))
    answered = outputs(adopted_model, pixels, "features", "fc", "code", "embedding")
    assert np.abs(answered[0] - features.numpy()).max() < 1e-4
    assert np.abs(answered[1] - vector.numpy()).max() < 1e-4
    length = np.linalg.norm(answered[2], axis=1, keepdims=True)
    assert np.abs(answered[3] - answered[2] / length).max() < 1e-5


def test_the_card_says_what_it_is(adopted_model: Path) -> None:
    card = open_artefact(adopted_model).card
    assert (card.encoder, card.training.recipe, card.training.epochs) == ("adopted_net:net", "adopted", 0)
    assert 'features = "second"' in card.training.recipe_toml
    assert (card.preprocessing.resize_rule, card.preprocessing.color_profile) == ("center_crop", "srgb")
    assert (card.patch_grid.rows, card.patch_grid.stride, card.patch_grid.receptive_field) == (8, 4, 10)
    # The classifier behind the vector is neither counted nor shipped.
    convolutions = 16**2 * 8 * 3 * 16 + 8**2 * 8 * 8 * 16 + 4**2 * 16 * 8 * 9
    assert card.encoder_macs == convolutions + 16 * 16
    assert (adopted_model / "encoder.onnx").stat().st_size < 60_000 + len(card.to_json())
    assert "adopted as it is" in (adopted_model / "README.md").read_text()


def test_a_probe_finds_the_cards_figures_without_the_module(
    infomax: Infomax, adopted_model: Path, sample_train: Path, sample_test: Path
) -> None:
    sys.modules.pop("adopted_net", None)
    answer = infomax("probe", "--model", adopted_model, "--train", sample_train, "--test", sample_test)
    assert answer.status == 0, answer.out + answer.err
    assert "All figures agree with the card of small/1." in answer.out


@pytest.fixture
def refused(
    infomax: Infomax, adopted_net: Path, sample_train: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> "Refusal":
    monkeypatch.syspath_prepend(str(adopted_net))
    return Refusal(infomax, sample_train, tmp_path)


class Refusal:
    """Runs `infomax adopt` where it has to fail."""

    def __init__(self, infomax: Infomax, data: Path, folder: Path) -> None:
        self._infomax, self._data, self.folder = infomax, data, folder

    def __call__(self, *options: object) -> str:
        answer = self.answer(*options)
        assert not (self.folder / "models").exists()
        return answer.sentence

    def answer(self, *options: object) -> Answer:
        where = ("--data", self._data, "--name", "small", "--models", self.folder / "models")
        return self._infomax("adopt", "--factory", "adopted_net:net", "--size", "32", *where, *options)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("--features", "fourth", "--conv", "third"), "encoder.features names 'fourth'"),
        (("--features", "spare", "--conv", "third"), "which the module does not run"),
        (("--features", "pair", "--conv", "third"), "encoder.features gives a tuple"),
        (("--features", "classifier", "--conv", "third"), "encoder.features gives [1, 1000], and a map"),
        ((*LAYERS, "--argument", "depth=3"), "encoder.factory = 'adopted_net:net' failed with (depth=3)"),
        ((*LAYERS, "--argument", "width"), "--argument is 'width'. Write it as KEY=VALUE"),
        ((*LAYERS, "--weights", "no.pth"), "There is no file no.pth"),
        ((*LAYERS, "--argument", "constant=true"), "have an effective rank of 1.00"),
        ((*LAYERS, "--std", "0", "0", "0"), "--std is 0, 0, 0"),
    ],
    ids=["no layer", "not run", "no tensor", "no map", "argument", "form", "weights", "collapse", "std"],
)
def test_what_cannot_work_is_a_sentence(refused: Refusal, options: tuple[str, ...], said: str) -> None:
    assert said in refused(*options)


@pytest.mark.parametrize(
    ("weights", "said"),
    [
        ({"stem.weight": torch.zeros(3)}, "no name agrees"),
        ({"first.weight": torch.zeros(8, 3, 3, 3)}, "first.weight is [8, 3, 3, 3] in the file"),
        ({"third.bias": torch.full((16,), torch.nan)}, "are not finite. Check its weights"),
    ],
    ids=["names", "shape", "nan"],
)
def test_weights_that_do_not_fit_are_a_sentence(
    refused: Refusal, weights: dict[str, torch.Tensor], said: str, caplog: pytest.LogCaptureFixture
) -> None:
    file = refused.folder / "weights.safetensors"
    save_file(weights, file)
    answer = refused.answer(*LAYERS, "--weights", file)
    assert said in answer.sentence
    if said.startswith("are not"):
        assert "9 not in the file (first.weight, first.bias" in caplog.text
