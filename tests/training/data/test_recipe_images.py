"""Images as a recipe asks for them: its rule, and a larger copy for sharp crops."""

from pathlib import Path

import numpy as np
import pytest

from contract.artefact import open_artefact
from contract.images import decode
from contract.preprocessing import Preprocessing
from service.inference.model import open_model
from service.settings import Settings
from tests.pictures import encoded, landscape
from tests.training.command import RECIPE, Infomax
from training.data.images import load_training_images, rule
from training.recipe_file import load_recipe

RULES = 'resize_rule = "letterbox"\ncolor_profile = "srgb"\nkept_size = 48\n'


@pytest.fixture
def recipe(tmp_path: Path) -> Path:
    path = tmp_path / "rules.toml"
    path.write_text(RULES + RECIPE.replace("batch_size = 64", "batch_size = 32"))
    return path


@pytest.fixture
def photos(tmp_path: Path) -> dict[str, Path]:
    """Wide and high pictures in two folders, `train` and `test`."""
    folders = {}
    for name, seeds in (("train", range(80)), ("test", range(80, 112))):
        folder = folders[name] = tmp_path / name
        folder.mkdir()
        for seed in seeds:
            size = (120, 80) if seed % 2 else (60, 90)
            (folder / f"{seed:03}.png").write_bytes(encoded(landscape(*size, seed=seed)))
    return folders


def test_a_recipe_without_rules_decodes_as_ever(recipe: Path) -> None:
    plain = load_recipe(recipe).model_copy(update={"resize_rule": "stretch", "color_profile": "ignore"})
    assert rule(plain) == Preprocessing(height=32, width=32)
    assert rule(plain).decoder == "pillow-1"


def test_images_are_kept_at_both_sizes_through_splits(
    recipe: Path, photos: dict[str, Path], monkeypatch: pytest.MonkeyPatch, decoded: Path
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(decoded))
    loaded = load_recipe(recipe)
    images = load_training_images(photos["train"], loaded)
    assert images.pixels.shape == (80, 32, 32, 3)
    assert images.pixels_for_crops.shape == (80, 48, 48, 3)
    rest, drawn = images.split(0.1, 0)
    for part in (rest, drawn, images.sample(5, 1)):
        for name, small, large in zip(part.names, part.pixels, part.pixels_for_crops, strict=True):
            data = (photos["train"] / name).read_bytes()
            assert np.array_equal(small, decode(data, rule(loaded)).pixels)
            larger = rule(loaded).model_copy(update={"height": 48, "width": 48})
            assert np.array_equal(large, decode(data, larger).pixels)
    without = load_training_images(photos["train"], loaded.model_copy(update={"kept_size": None}))
    assert without.pixels_for_crops is without.pixels
    # What a run was made of is told by the pixels that all that measures takes.
    assert without.sha256() == images.sha256()


def test_a_run_by_a_rule_is_exported_and_served_by_it(
    infomax: Infomax, recipe: Path, photos: dict[str, Path], tmp_path: Path
) -> None:
    run, models = tmp_path / "run", tmp_path / "models"
    answer = infomax("train", "--recipe", recipe, "--data", photos["train"], "--out", run, "--no-report")
    assert answer.status == 0, answer.err
    export = infomax(
        *(
            "export",
            "--run",
            run,
            "--train",
            photos["train"],
            "--held-out",
            photos["test"],
            "--models",
            models,
        ),
        *("--name", "rules", "--licence", "none", "--summary", "s", "--limit", "l", "--data-name", "d"),
        *("--held-out-name", "h"),
    )
    assert export.status == 0, export.err
    card = open_artefact(models / "rules" / "1").card
    assert card.schema_version == 3
    assert card.preprocessing == rule(load_recipe(recipe))
    assert "sRGB" in (models / "rules" / "1" / "README.md").read_text()
    open_model(Settings(models_dir=models, model="rules", device="cpu")).self_test()
