"""The table: one row for each trick, mean and spread over seeds."""

from collections.abc import Sequence
from statistics import mean, stdev

from contract.counts import counted
from training.evaluation.label_free import spearman
from training.experiments.ablation.result import AblationResult
from training.experiments.ablation.tricks import FULL
from training.recipe import Recipe

_COLUMNS = {
    "linear conv": "linear_conv",
    "linear fc": "linear_fc",
    "kNN fc": "neighbours_fc",
    "kNN embedding": "neighbours",
}
_LABEL_FREE = {"RankMe": "rank_me", "alpha-ReQ": "alpha", "LiDAR": "lidar"}
_DIGITS = {"rank_me": 1, "alpha": 2, "lidar": 1}
_FEWEST_CORRELATED = 3


def render(cells: Sequence[AblationResult], recipe: Recipe, command: str) -> str:
    """Render finished cells, at least one, as Markdown with what a reader has to know."""
    names = list(dict.fromkeys(cell.without for cell in cells))
    lines = [
        _row(("without", *_COLUMNS, *_LABEL_FREE, "seconds", "seeds")),
        _row(["---"] * (len(_COLUMNS) + len(_LABEL_FREE) + 3)),
        *(_figures(name, [cell for cell in cells if cell.without == name]) for name in names),
    ]
    images = cells[0].images
    return "\n".join(
        [
            *lines,
            "",
            f"{recipe.name} with one trick left out at a time ({FULL}: the whole recipe), trained for "
            f"{counted(recipe.epochs, 'epoch')} on nine tenths of {images:,} images and measured on the "
            "others, accuracies in per cent: mean ± standard deviation over seeds, each with an "
            "initialisation and validation images of its own. Seconds are the mean "
            "wall-clock time of the steps.",
            "",
            *correlations(cells),
            "```sh",
            command,
            "```",
            "",
        ]
    )


def correlations(cells: Sequence[AblationResult]) -> list[str]:
    """Correlate signs of fc that need no labels with accuracies, over single runs.

    Runs without them are left out, and nothing is written of fewer than three. An exponent is taken by its
    distance from 1, the nearer the better.
    """
    cells = [cell for cell in cells if None not in (cell.rank_me, cell.alpha, cell.lidar)]
    if len(cells) < _FEWEST_CORRELATED:
        return []
    signs = {
        "RankMe": [_known(cell.rank_me) for cell in cells],
        "alpha-ReQ, -\\|alpha - 1\\|": [-abs(_known(cell.alpha) - 1) for cell in cells],
        "LiDAR": [_known(cell.lidar) for cell in cells],
    }
    rows = []
    for sign, values in signs.items():
        found = (spearman(values, [getattr(cell, field) for cell in cells]) for field in _COLUMNS.values())
        rows.append(_row([sign, *("" if one is None else f"{one:.2f}" for one in found)]))
    return [
        f"Spearman's rank correlation of signs without labels with these accuracies, over {len(cells)} runs:",
        "",
        _row(("sign of fc", *_COLUMNS)),
        _row(["---"] * (len(_COLUMNS) + 1)),
        *rows,
        "",
    ]


def _known(value: float | None) -> float:
    assert value is not None  # noqa: S101 (cells without are left out)
    return value


def _figures(name: str, cells: Sequence[AblationResult]) -> str:
    values = [_spread([100 * getattr(cell, field) for cell in cells]) for field in _COLUMNS.values()]
    for field in _LABEL_FREE.values():
        signs = [getattr(cell, field) for cell in cells if getattr(cell, field) is not None]
        values.append(_spread(signs, _DIGITS[field]) if signs else "")
    seconds = f"{mean(cell.seconds for cell in cells):.0f}"
    return _row((name, *values, seconds, ", ".join(str(cell.seed) for cell in cells)))


def _spread(values: Sequence[float], digits: int = 1) -> str:
    return f"{mean(values):.{digits}f}" + (f" ± {stdev(values):.{digits}f}" if len(values) > 1 else "")


def _row(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"
