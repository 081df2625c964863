"""Recipes: the shipped ones run, and an impossible one is refused in a sentence that says what is allowed."""

import re
from pathlib import Path

import pytest
import torch
from torch import Generator

from training.errors import RecipeError
from training.loop.run import Run
from training.model.critics import CRITICS
from training.model.estimators import ESTIMATORS
from training.recipe import SECTIONS, Recipe
from training.recipe_file import load_recipe

ROOT = Path(__file__).parents[2]
SHIPPED = sorted((ROOT / "training" / "recipes").glob("*.toml"))

POSSIBLE = """
name = "mine"
epochs = 2
views = 1
[encoder]
name = "dim32"
"""

SMALL_VIEWS = f"""{POSSIBLE.replace("dim32", "residual32")}
[augmentation]
[small_views]
size = 20
share = 0.5
"""


def refusal(tmp_path: Path, text: str) -> str:
    """What is said about a recipe."""
    path = tmp_path / "mine.toml"
    path.write_text(text)
    with pytest.raises(RecipeError) as caught:
        load_recipe(path)
    message = str(caught.value)
    assert message.startswith(f"{path}: ")
    assert message.endswith(".")
    assert not message.endswith("..")
    assert "\n" not in message
    return message.removeprefix(f"{path}: ")


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: path.stem)
def test_a_shipped_recipe_loads_and_takes_a_step(path: Path, tmp_path: Path) -> None:
    recipe = load_recipe(path)
    assert recipe.name == path.stem
    assert path.read_text().startswith("# ")
    size = recipe.input_size
    images = torch.randint(
        0, 256, (8, size, size, 3), dtype=torch.uint8, generator=Generator().manual_seed(0)
    )
    values = Run(recipe, tmp_path, total_steps=10).take_step(images)
    assert all(torch.isfinite(torch.tensor(value)) for value in values.values())


@pytest.mark.parametrize(
    ("name", "estimator", "weights"),
    [
        ("paper_dim_local_infonce", "infonce", (0, 1, 0.1)),
        ("paper_dim_local_jsd", "jsd", (0, 1, 0.1)),
        ("paper_dim_local_dv", "dv", (0, 1, 0.1)),
        ("paper_dim_global", "jsd", (1, 0, 1)),
    ],
)
def test_the_papers_recipes_have_the_papers_settings(
    name: str, estimator: str, weights: tuple[float, float, float]
) -> None:
    (path,) = [path for path in SHIPPED if path.stem == name]
    recipe = load_recipe(path)
    objective = recipe.objective
    assert objective.estimator == estimator
    assert (objective.global_weight, objective.local_weight, objective.prior_weight) == weights
    assert (recipe.views, recipe.augmentation, recipe.batch_size) == (1, None, 64)
    assert (recipe.encoder.name, recipe.encoder.code_units) == ("dim32", 64)
    assert (recipe.optimiser.learning_rate, recipe.optimiser.weight_decay) == (1e-4, 0)
    assert (objective.maps, objective.positions, objective.prior) == ({"features": 1.0}, None, "uniform")


def test_a_recipe_survives_the_checkpoint(tmp_path: Path) -> None:
    for path in SHIPPED:
        recipe = load_recipe(path)
        assert Recipe.model_validate_json(recipe.model_dump_json()) == recipe


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (POSSIBLE.replace("dim32", "vgg"), "There is no encoder 'vgg'; choose one of dim32, dim64"),
        (
            POSSIBLE + "[critic]\nname = 'bilinear'",
            "There is no critic 'bilinear'; choose one of encode_and_dot",
        ),
        (
            POSSIBLE + "[objective]\nestimator = 'nce'",
            "There is no estimator 'nce'; choose one of infonce, decoupled",
        ),
        (
            POSSIBLE.replace("epochs", "input_size = 64\nepochs"),
            "takes images of 32 pixels, the recipe's input_size is 64",
        ),
        (
            POSSIBLE.replace("epochs", "batch_size = 1\nepochs"),
            "batch_size is 1; negatives come from the batch, so at least 2",
        ),
        (
            POSSIBLE.replace("epochs = 2", "epochs = 0"),
            "epochs: it has to be greater than or equal to 1, and is 0",
        ),
        (
            POSSIBLE.replace("epochs", "kept_size = 48\nepochs"),
            "kept_size needs an [augmentation] section",
        ),
        (
            POSSIBLE.replace("epochs", "kept_size = 65\nepochs") + "[augmentation]",
            "kept_size is 65; it has to be above input_size = 32 and at most 64",
        ),
        (
            POSSIBLE.replace("epochs", "resize_rule = 'cover'\nepochs"),
            "resize_rule: it has to be 'stretch', 'center_crop' or 'letterbox', and is 'cover'",
        ),
        (POSSIBLE.replace("views = 1", "views = 2"), "views = 2 needs an [augmentation] section"),
        (POSSIBLE.replace("views = 1", "views = 3"), "views: it has to be 1 or 2, and is 3"),
        (POSSIBLE + "[objective]\npairwise_weight = 1.0", "pairwise_weight needs views = 2"),
        (POSSIBLE + "[objective]\nlocal_weight = 0", "are all 0: nothing is learned"),
        (POSSIBLE + "[objective]\nlocal_weight = 0\nprior_weight = 1", "are all 0: nothing is learned"),
        (POSSIBLE + "[objective]\nmaps = {}", "local_weight is 1 but maps is empty"),
        (
            POSSIBLE + "[objective]\nmaps = { fc = 1.0 }",
            "objective.maps.fc: it has to be 'features' or 'conv', and is 'fc'",
        ),
        (
            POSSIBLE + "[objective]\nprior = 'cauchy'",
            "objective.prior: it has to be 'uniform' or 'gaussian', and is 'cauchy'",
        ),
        (
            POSSIBLE + "[objective]\npositions = 0",
            "objective.positions: it has to be greater than or equal to 1, and is 0",
        ),
        (
            POSSIBLE + "[objective]\npositions = 65",
            "objective.positions is 65, more than any map of dim32 has patches (features has 64); ask for",
        ),
        (
            POSSIBLE + "[objective]\npositions = 65\nmaps = { features = 1.0, conv = 1.0 }",
            "(features has 64, conv has 16)",
        ),
        (
            POSSIBLE + "[optimiser]\nwarmup_share = 1.5",
            "optimiser.warmup_share: it has to be less than or equal to 1, and is 1.5",
        ),
        (
            POSSIBLE + "[optimiser]\nlearning_rate = inf",
            "optimiser.learning_rate: it has to be a finite number, and is inf",
        ),
        (POSSIBLE + "[augmentation]\naspect = inf", "augmentation.aspect: it has to be a finite number"),
        (POSSIBLE.replace("epochs = 2", "epochs = 2.5"), "epochs: it has to be a valid integer"),
        (
            POSSIBLE.replace("views = 1", "validation_share = 1.0"),
            "validation_share: it has to be less than 1",
        ),
        (POSSIBLE + "[critic]\ntemperature = 0", "critic.temperature: it has to be greater than 0, and is 0"),
        (
            POSSIBLE + "[critic]\ntemprature = 1",
            "there is no key critic.temprature; choose one of name, units, temperature",
        ),
        (
            POSSIBLE + "[augmentation]\nsharpen = 1",
            "there is no key augmentation.sharpen; choose one of min_crop, aspect, flip",
        ),
        (
            POSSIBLE + "[augmentation]\nmin_crop = 0",
            "augmentation.min_crop: it has to be greater than 0, and is 0",
        ),
        (
            POSSIBLE + "[augmentation]\ngrey = 1.5",
            "augmentation.grey: it has to be less than or equal to 1, and is 1.5",
        ),
        (SMALL_VIEWS.replace("[augmentation]", ""), "small_views needs an [augmentation] section"),
        (SMALL_VIEWS.replace("size = 20", "size = 32"), "no less than input_size = 32; ask for fewer pixels"),
        (SMALL_VIEWS.replace("size = 20", "size = 8"), "size is 8, which residual32 cannot encode"),
        (SMALL_VIEWS.replace("residual32", "dim32"), "size is 20, which dim32 cannot encode; take another"),
        (SMALL_VIEWS + "[objective]\nglobal_weight = 1", "small_views cannot be combined with global_weight"),
        (POSSIBLE.replace("epochs", "epoch"), "epochs is missing"),
        (
            POSSIBLE.replace('name = "mine"', "name = 'a'\nspeed = 3"),
            "there is no key speed; choose one of name, seed, epochs",
        ),
        (
            POSSIBLE.replace("epochs", "embedding_layer = 'code'\nepochs") + "[objective]\ntarget = 'fc'",
            'objective.target = "fc" leaves without training',
        ),
    ],
)
def test_an_impossible_recipe_is_refused_with_what_is_allowed(text: str, said: str, tmp_path: Path) -> None:
    assert said in refusal(tmp_path, text)


def test_what_is_no_recipe_at_all_is_refused(tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match=r"There is no recipe .*none\.toml; shipped ones lie in"):
        load_recipe(tmp_path / "none.toml")
    with pytest.raises(RecipeError, match="cannot be read: Is a directory"):
        load_recipe(tmp_path)
    broken = tmp_path / "broken.toml"
    for content in (b"name = ", b"\xff\xfe\x00"):
        broken.write_bytes(content)
        with pytest.raises(RecipeError, match="is not valid TOML"):
            load_recipe(broken)


def first_column(heading: str, table: str) -> list[str]:
    """What stands in code type in the first column of a table in docs/training.md."""
    section = (ROOT / "docs" / "training.md").read_text().split(f"\n## {heading}\n")[1].split("\n## ")[0]
    rows = section.split(f"\n| {table} |")[1].split("\n\n")[0]
    return re.findall(r"^\| `([^`]+)`", rows, re.MULTILINE)


def test_the_documentation_lists_every_key_and_every_name_and_no_other() -> None:
    keys = []
    for key in Recipe.model_fields:
        section = SECTIONS.get(key)
        keys += [f"{key}.{inner}" for inner in section.__annotations__] if section else [key]
    assert sorted(first_column("Recipe", "key")) == sorted(keys)
    assert sorted(first_column("Recipe", "shipped recipe")) == [path.stem for path in SHIPPED]
    assert first_column("Estimators", "name") == list(ESTIMATORS)
    assert first_column("Critics", "name") == list(CRITICS)
