"""The table: one row for each trick, mean and spread over seeds."""

from collections.abc import Sequence
from statistics import mean, stdev

from training.experiments.ablation.result import AblationResult
from training.experiments.ablation.tricks import FULL
from training.recipe import Recipe

_COLUMNS = {
    "linear conv": "linear_conv",
    "linear fc": "linear_fc",
    "kNN fc": "neighbours_fc",
    "kNN embedding": "neighbours",
}


def render(cells: Sequence[AblationResult], recipe: Recipe, command: str) -> str:
    """Render finished cells, at least one, as Markdown with what a reader has to know."""
    names = list(dict.fromkeys(cell.without for cell in cells))
    lines = [
        _row(("without", *_COLUMNS, "seconds", "seeds")),
        _row(["---"] * (len(_COLUMNS) + 3)),
        *(_figures(name, [cell for cell in cells if cell.without == name]) for name in names),
    ]
    images = cells[0].images
    return "\n".join(
        [
            *lines,
            "",
            f"{recipe.name} with one trick left out at a time ({FULL}: the whole recipe), trained for "
            f"{recipe.epochs} epochs on nine tenths of {images:,} images and measured on the others, "
            "accuracies in per cent: mean ± standard deviation over seeds, each with an initialisation and "
            "validation images of its own. Seconds are the mean wall-clock time of the steps.",
            "",
            "```sh",
            command,
            "```",
            "",
        ]
    )


def _figures(name: str, cells: Sequence[AblationResult]) -> str:
    values = [_spread([100 * getattr(cell, field) for cell in cells]) for field in _COLUMNS.values()]
    seconds = f"{mean(cell.seconds for cell in cells):.0f}"
    return _row((name, *values, seconds, ", ".join(str(cell.seed) for cell in cells)))


def _spread(values: Sequence[float]) -> str:
    return f"{mean(values):.1f}" + (f" ± {stdev(values):.1f}" if len(values) > 1 else "")


def _row(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"
