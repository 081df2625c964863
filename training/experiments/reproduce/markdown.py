"""The comparison as a Markdown table, ready to be pasted into a page."""

from collections.abc import Sequence
from pathlib import Path

from training.evaluation.probes.penalised import VALIDATION_SHARE
from training.experiments.reproduce.budget import Budget
from training.experiments.reproduce.experiments import EXPERIMENTS
from training.experiments.reproduce.probing import LAYERS, PROBES
from training.experiments.reproduce.quoted import NOTE, PAPER
from training.experiments.reproduce.result import Result

# The largest standard error of an accuracy on a single image, in points: that of one half.
_STANDARD_ERROR = 50.0


def render(results: Sequence[Result]) -> str:
    """Render finished experiments of one budget, at least one, as a table with what a reader has to know."""
    budget = results[0].budget
    cells = [f"{layer} {name}" for layer in LAYERS for name in PROBES]
    head = ("method", *cells, "paper: conv / fc / Y", "command", "seed", "training, probes (min)")
    best = {
        (layer, name): max(one.accuracy(layer, name) for one in results)
        for layer in LAYERS
        for name in PROBES
    }
    lines = [_row(head), _row(["---"] * len(head))]
    for one in results:
        figures = [
            _figure(one.accuracy(layer, name), best[layer, name]) for layer in LAYERS for name in PROBES
        ]
        time = f"{one.training_seconds / 60:.1f}, {one.probing_seconds / 60:.1f}"
        method = EXPERIMENTS[one.name].method
        command = f"`infomax reproduce {one.name} …`"
        lines.append(_row((method, *figures, _paper(one.name), command, str(budget.seed), time)))
    training, tested = budget.images - round(VALIDATION_SHARE * budget.images), results[0].test_images
    return "\n".join(
        [
            *lines,
            "",
            f"Accuracy in per cent on {tested:,} test images, the best of each column in bold. Every method "
            f"trains the same encoder on the same {training:,} images, {budget.epochs} times over in batches "
            f"of {budget.batch_size}, without augmentation and with the same optimiser. Classifiers are "
            f"fitted to {budget.images:,} training images; their choices are made on the tenth that no "
            "encoder was trained on. One seed; the choice of test images alone moves a figure by up to "
            f"{_STANDARD_ERROR / tested**0.5:.1f} (standard error).",
            NOTE,
            f"Computed on {'; '.join(dict.fromkeys(one.hardware for one in results))}. Each command in full:",
            "",
            "```sh",
            _command(budget),
            "```",
            "",
        ]
    )


def _command(budget: Budget) -> str:
    """Return the command with file names in place of paths, which mean nothing on another machine."""
    elsewhere = budget.model_copy(update={"train": Path(budget.train).name, "test": Path(budget.test).name})
    return elsewhere.command("NAME", Path("reproduced"))


def _row(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _figure(accuracy: float, best: float) -> str:
    text = f"{100 * accuracy:.1f}"
    return f"**{text}**" if accuracy == best else text


def _paper(name: str) -> str:
    if name not in PAPER:
        return ""
    return " / ".join("?" if value is None else f"{value:.1f}" for value in PAPER[name])
