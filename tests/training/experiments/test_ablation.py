"""The ablation: each row differs from the recipe by one trick, stops and goes on, and adds up rightly."""

from pathlib import Path
from typing import Any

import pytest

from tests.training.command import Infomax
from training.cli.exit_status import STOPPED
from training.errors import RecipeError, TrainingError
from training.experiments.ablation import result as results
from training.experiments.ablation.result import AblationResult
from training.experiments.ablation.table import render
from training.experiments.ablation.tricks import FULL, TRICKS, Trick, choose, without
from training.recipe import SECTIONS
from training.recipe_file import load_recipe

ROOT = Path(__file__).parents[3]
RECIPE = load_recipe(ROOT / "training" / "recipes" / "two_view_progressive.toml")
PAPER = load_recipe(ROOT / "training" / "recipes" / "paper_dim_local_infonce.toml")

JSD = load_recipe(ROOT / "training" / "recipes" / "paper_dim_local_jsd.toml")


def cell(without: str, seed: int, accuracy: float, rank_me: float | None = None) -> AblationResult:
    return AblationResult(
        without=without, seed=seed, recipe="{}", images=1000, linear_conv=accuracy, linear_fc=accuracy / 2,
        neighbours_fc=0.1, neighbours=0.2, seconds=10.0 + seed, rank_me=rank_me,
        alpha=None if rank_me is None else 1 + 1 / rank_me, lidar=None if rank_me is None else 100 - rank_me,
    )  # fmt: skip


def _flat(content: dict[str, Any]) -> dict[str, Any]:
    sections = {key: value for key, value in content.items() if key in SECTIONS and value is not None}
    flat = {f"{section}.{key}": value for section in sections for key, value in sections[section].items()}
    return flat | {key: value for key, value in content.items() if key not in sections}


@pytest.mark.parametrize("trick", TRICKS, ids=lambda trick: trick.name)
def test_the_shipped_recipe_uses_every_trick_and_only_its_keys_change(trick: Trick) -> None:
    changed, kept = (_flat(recipe.model_dump()) for recipe in (without(RECIPE, trick), RECIPE))
    assert {key for key in kept if changed[key] != kept[key]} == set(trick.undone)


def test_a_recipe_is_asked_only_about_tricks_that_it_uses() -> None:
    names = {trick.name for trick in choose(PAPER, ())}
    assert not names & {"Muon", "second view", "colour changes", "whitened first layer", "small views"}
    assert "decoupled negatives" not in {trick.name for trick in choose(JSD, ())}
    with pytest.raises(RecipeError, match=r"has no trick 'Muon'; choose of"):
        choose(PAPER, ("Muon",))


def test_the_table_has_mean_and_standard_deviation_of_each_row() -> None:
    found = [cell(FULL, 0, 0.6), cell("Muon", 0, 0.5), cell(FULL, 1, 0.7), cell("Muon", 1, 0.5)]
    table = render(found, RECIPE, "infomax ablate …")
    assert "| nothing | 65.0 ± 7.1 | 32.5 ± 3.5 | 10.0 ± 0.0 | 20.0 ± 0.0 |  |  |  | 10 | 0, 1 |" in table
    assert "| Muon | 50.0 ± 0.0 | 25.0 ± 0.0 |" in table
    assert "Spearman" not in table


def test_signs_without_labels_are_correlated_with_accuracies_over_all_runs() -> None:
    found = [cell(FULL, 0, 0.6, 20), cell("Muon", 0, 0.5, 10), cell(FULL, 1, 0.7, 40), cell("Muon", 1, 0.55)]
    table = render(found, RECIPE, "infomax ablate …")
    assert "| 30.0 ± 14.1 | 1.04 ± 0.02 | 70.0 ± 14.1 |" in table
    assert "over 3 runs" in table
    # The nearer an exponent is to 1, the better; neighbours are the same for all.
    assert "| RankMe | 1.00 | 1.00 |  |  |" in table
    assert "| alpha-ReQ, -\\|alpha - 1\\| | 1.00 | 1.00 |  |  |" in table
    assert "| LiDAR | -1.00 | -1.00 |  |  |" in table


def test_a_cell_of_another_recipe_is_refused(tmp_path: Path) -> None:
    results.write(tmp_path, cell(FULL, 0, 0.6))
    assert results.read(tmp_path, FULL, 0, "{}", 1000, "float32") == cell(FULL, 0, 0.6)
    assert results.read(tmp_path, FULL, 1, "{}", 1000, "float32") is None
    with pytest.raises(TrainingError, match="another recipe, budget or precision; name another"):
        results.read(tmp_path, FULL, 0, '{"epochs": 2}', 1000, "float32")
    with pytest.raises(TrainingError, match="another recipe, budget or precision"):
        results.read(tmp_path, FULL, 0, "{}", 1000, "bfloat16")


def test_the_command_measures_every_row_and_leaves_finished_ones_alone(
    infomax: Infomax, tmp_path: Path
) -> None:
    recipe = tmp_path / "small.toml"
    recipe.write_text(
        'name = "small"\nepochs = 9\nbatch_size = 32\n[encoder]\nname = "dim32"\nwhitened = true\n'
        "[objective]\npositions = 2\n[augmentation]\n"
    )
    arguments = (
        "ablate", "--recipe", str(recipe), "--data", str(ROOT / "tests" / "data" / "sample_train.parquet"),
        "--out", str(tmp_path / "out"), "--images", "100", "--epochs", "1", "--seeds", "2",
        "--only", "whitened first layer",
    )  # fmt: skip
    stopped = infomax(*arguments, "--minutes", 0)
    assert stopped.status == STOPPED
    assert "Go on with the same command" in stopped.out
    first, second = infomax(*arguments), infomax(*arguments)
    assert (first.status, second.status) == (0, 0), first.err + second.err
    assert "| whitened first layer |" in first.out
    assert "holds 4 runs" in first.out
    assert "| LiDAR |" in first.out
    assert second.out == first.out
    assert "of 4)" in first.err
    assert "of 4)" not in second.err
