"""What a run of the benchmark found: its JSON and its table."""

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path
from statistics import median


@dataclass(frozen=True)
class Timing:
    """One repetition of one recipe.

    Attributes:
        recipe, repetition: which.
        images: that passed each part; with two views the encoder encodes twice as many.
        bare, step, loader: seconds of the bare encoder's forward and backward pass, of whole training steps,
            and of fetching batches alone.
    """

    recipe: str
    repetition: int
    images: int
    bare: float
    step: float
    loader: float

    @property
    def overhead(self) -> float:
        """What a step costs beyond the bare encoder, as a share of that."""
        return self.step / self.bare - 1


@dataclass
class Results:
    """Everything that one run found.

    Attributes:
        machine, options: on what and how it was measured.
    """

    machine: dict[str, object]
    options: dict[str, object]
    timings: list[Timing] = field(default_factory=list)

    def recipes(self) -> list[str]:
        """In the order in which they were measured."""
        return list(dict.fromkeys(one.recipe for one in self.timings))

    def of(self, recipe: str) -> list[Timing]:
        """A recipe's repetitions."""
        return [one for one in self.timings if one.recipe == recipe]

    def write(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(asdict(self), indent=1) + "\n")


def markdown(results: Results) -> str:
    """One line a recipe: medians, with the least and the greatest."""
    lines = [
        "| recipe | bare encoder, images/s | whole step, images/s | beyond the encoder | loader, images/s |",
        "| --- | ---: | ---: | ---: | ---: |",
    ]
    for recipe in results.recipes():
        found = results.of(recipe)
        cells = [
            spread([one.images / one.bare for one in found], ",.0f"),
            spread([one.images / one.step for one in found], ",.0f"),
            spread([one.overhead for one in found], ".1%"),
            spread([one.images / one.loader for one in found], ",.0f"),
        ]
        lines.append("| " + " | ".join([recipe, *cells]) + " |")
    return "\n".join(lines) + "\n"


def spread(values: list[float], form: str) -> str:
    """The median with the least and the greatest."""
    return f"{median(values):{form}} ({min(values):{form}} to {max(values):{form}})"
