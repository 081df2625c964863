"""Maps of a frozen trunk: computed once, the same as at each step, drawn by the seed, resumed to the bit."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from torch import Generator, Tensor

from contract.preprocessing import Preprocessing
from training.data import ImageSet, load
from training.data.views import apply_views, draw_views
from training.errors import TrainingError
from training.loop import checkpoint
from training.loop.trainer import train
from training.loop.trunk_maps import compute_trunk_maps
from training.model.encoders import Encoder, build_encoder
from training.recipe import Recipe

COPIES = 3


@pytest.fixture(scope="module")
def images(sample_train: Path) -> ImageSet:
    return load(sample_train, Preprocessing(height=32, width=32)).sample(100, seed=0)


def recipe(**changes: Any) -> Recipe:
    record = {
        "name": "frozen",
        "epochs": 2,
        "batch_size": 16,
        "trunk_copies": COPIES,
        "embedding_layer": "code",
        "encoder": {
            "factory": "tests.training.model.test_backbone:small_net",
            "features": "norm",
            "conv": "activation",
            "code_units": 8,
            "hidden_units": 16,
            "frozen": [""],
        },
        "critic": {"units": 8, "temperature": 0.2},
        "augmentation": {},
    }
    return Recipe.model_validate({**record, **changes})


def frozen() -> Encoder:
    torch.manual_seed(0)
    return build_encoder(recipe().encoder, 32).eval()


def always(_done: int, _total: int) -> bool:
    return True


def test_kept_maps_are_those_of_the_views(images: ImageSet, tmp_path: Path) -> None:
    encoder = frozen()
    maps = compute_trunk_maps(encoder, images, recipe(), tmp_path, always)
    assert maps is not None
    rows = torch.arange(20)
    # The first batch of 64 views: the images that its places belong to, by the generator of its place.
    draw = draw_views(64, recipe().augmentation, Generator().manual_seed(0))  # type: ignore[arg-type]
    pixels = torch.from_numpy(images.pixels[np.arange(64) // COPIES])
    with torch.no_grad():
        expected = encoder.maps(apply_views(pixels, draw, 32))
    found = {
        tuple(row.flatten()[:8].tolist()) for view in maps.draw(rows, COPIES, Generator()) for row in view[0]
    }
    wanted = {tuple(row.half().float().flatten()[:8].tolist()) for row in expected.features[: 20 * COPIES]}
    assert found == wanted


def test_views_of_one_image_in_one_step_differ(images: ImageSet, tmp_path: Path) -> None:
    maps = compute_trunk_maps(frozen(), images, recipe(), tmp_path, always)
    assert maps is not None
    for seed in range(5):
        first, second = maps.draw(torch.arange(50), 2, Generator().manual_seed(seed))
        assert not any(torch.equal(a, b) for a, b in zip(first.conv, second.conv, strict=True))


def test_a_stopped_computation_goes_on_to_the_same_maps(images: ImageSet, tmp_path: Path) -> None:
    (tmp_path / "whole").mkdir()
    (tmp_path / "parts").mkdir()
    whole = compute_trunk_maps(frozen(), images, recipe(), tmp_path / "whole", always)
    assert compute_trunk_maps(frozen(), images, recipe(), tmp_path / "parts", lambda *_: False) is None
    parts = compute_trunk_maps(frozen(), images, recipe(), tmp_path / "parts", always)
    assert whole is not None
    assert parts is not None
    drawn = [each.draw(torch.arange(100), 2, Generator().manual_seed(1)) for each in (whole, parts)]
    for one, other in zip(*drawn, strict=True):
        assert torch.equal(one.features, other.features)


def test_only_f_and_the_critics_are_trained(images: ImageSet, tmp_path: Path) -> None:
    result = train(recipe(), images, tmp_path, resume=False)
    assert result.finished
    after = checkpoint.load(tmp_path)["learner"]
    before = frozen_start().state_dict()
    changed = {name for name, value in before.items() if not torch.equal(value, after[f"encoder.{name}"])}
    assert changed
    assert not any(name.startswith("local.") for name in changed)
    # A finished run does not need its maps.
    assert not (tmp_path / "trunk-maps").exists()


def test_a_stopped_run_goes_on_to_the_same_weights(
    images: ImageSet, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    train(recipe(), images, tmp_path / "whole", resume=False)

    def stop(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr("training.loop.monitor.Monitor.measure", stop)
        with pytest.raises(KeyboardInterrupt):
            train(recipe(), images, tmp_path / "parts", resume=False)
    train(recipe(), images, tmp_path / "parts", resume=True)
    whole, parts = (weights(tmp_path / name) for name in ("whole", "parts"))
    for name, value in whole.items():
        assert torch.equal(value, parts[name]), name


def test_too_little_room_is_said_before_anything_is_computed(
    images: ImageSet, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    full = SimpleNamespace(free=1000)
    monkeypatch.setattr("training.loop.trunk_maps.shutil.disk_usage", lambda _: full)
    with pytest.raises(TrainingError, match="Lower trunk_copies"):
        compute_trunk_maps(frozen(), images, recipe(), tmp_path, always)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"encoder": {"name": "resnet18"}, "input_size": 64}, "needs a frozen trunk"),
        ({"trunk_copies": 2, "augmentation": None, "views": 1}, "needs an .augmentation. section"),
        ({"small_views": {"size": 24, "share": 0.5}}, "with trunk_copies all views have one size"),
    ],
)
def test_what_contradicts_frozen_maps_is_refused(changes: dict[str, Any], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        recipe(**changes)


def frozen_start() -> Encoder:
    """The encoder as a run of the recipe begins with it."""
    torch.manual_seed(recipe().seed)
    return build_encoder(recipe().encoder, 32)


def weights(folder: Path) -> dict[str, Tensor]:
    found: dict[str, Tensor] = checkpoint.load(folder)["learner"]
    return found
