"""What tests of training share."""

from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest
import torch
from torch.onnx._internal.exporter._registration import ONNXRegistry

from contract.preprocessing import Preprocessing
from tests.once import once
from tests.training.command import RECIPE, Infomax, run
from training.data import ImageSet, load
from training.evaluation.probes import penalised
from training.export import assembly, inference_cost, int8_encoder, quantise
from training.export.model_card import Release
from training.export.version import export
from training.loop.trained import load_run

DATA = Path(__file__).parents[1] / "data"


@pytest.fixture(autouse=True, scope="session")
def one_thread() -> None:
    """Tests are small: a second thread gains nothing and, on a busy machine, waits spinning for the first."""
    torch.set_num_threads(1)


@pytest.fixture(autouse=True, scope="session")
def quick_exports() -> Iterator[None]:
    """What is fitted, timed or ranged takes few steps: what tests ask of it comes early."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(assembly, "_FEWEST_CRITIC_STEPS", 100)
        for module in (quantise, int8_encoder):
            patch.setattr(module, "CALIBRATION_IMAGES", 64)
        for steps in ("_CHOOSING_STEPS", "_FITTING_STEPS"):
            patch.setattr(penalised, steps, 10)
        patch.setattr(inference_cost, "_ROUNDS", 1)
        patch.setattr(inference_cost, "_SECONDS", 0.0)
        # PyTorch's exporter reads its thousand translations anew for each graph, and changes none of them.
        patch.setattr(ONNXRegistry, "from_torchlib", staticmethod(cache(ONNXRegistry.from_torchlib)))
        yield


@pytest.fixture(scope="session")
def sample_train() -> Path:
    """300 labelled CIFAR-10 images, 30 of each class; see tests/data/README.md."""
    return DATA / "sample_train.parquet"


@pytest.fixture(scope="session")
def sample_test() -> Path:
    """100 labelled CIFAR-10 images, 10 of each class, none of them in `sample_train`."""
    return DATA / "sample_test.parquet"


@pytest.fixture(scope="module")
def training(sample_train: Path) -> ImageSet:
    """The images of `sample_train`, decoded."""
    return load(sample_train, Preprocessing(height=32, width=32))


@pytest.fixture(scope="module")
def held_out(sample_test: Path) -> ImageSet:
    """Those of `sample_test`."""
    return load(sample_test, Preprocessing(height=32, width=32))


@pytest.fixture(scope="session")
def sample_recipe(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A recipe that trains on `sample_train` in seconds."""
    path = tmp_path_factory.mktemp("recipes") / "sample.toml"
    path.write_text(RECIPE)
    return path


@pytest.fixture(scope="session")
def decoded(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A cache of decoded images for all commands of a session."""
    return tmp_path_factory.mktemp("cache")


@pytest.fixture
def infomax(capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, decoded: Path) -> Infomax:
    """Runs `infomax` commands in this process."""
    return Infomax(capfd, monkeypatch, decoded)


@pytest.fixture(scope="session")
def finished_run(
    sample_recipe: Path, sample_train: Path, decoded: Path, tmp_path_factory: pytest.TempPathFactory
) -> Path:
    """The folder of a run that `infomax train` has finished on `sample_train`; read-only for tests."""

    def train(folder: Path) -> None:
        options = ("--recipe", sample_recipe, "--data", sample_train, "--out", folder / "sample")
        with pytest.MonkeyPatch.context() as patch:
            run(patch, "train", *options, cache=decoded)

    return once(tmp_path_factory, "finished_runs", train) / "sample"


@pytest.fixture(scope="session")
def exported_model(
    finished_run: Path, sample_train: Path, sample_test: Path, tmp_path_factory: pytest.TempPathFactory
) -> Path:
    """The folder `sample/1` of the model that is made of `finished_run`; read-only for tests."""
    rule = Preprocessing(height=32, width=32)
    release = Release(
        name="sample",
        version=1,
        licence="none",
        summary="Trained for seconds on 300 images.",
        limits=("It has learned next to nothing.",),
        data="sample_train",
        held_out="sample_test",
    )

    def make(folder: Path) -> None:
        export(load_run(finished_run), release, load(sample_train, rule), load(sample_test, rule), folder)

    return once(tmp_path_factory, "exported_models", make) / "sample" / "1"
