"""Results of a run: their JSON and their table."""

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path
from statistics import median


@dataclass(frozen=True)
class Timing:
    """Times of one recipe in one repetition.

    Attributes:
        recipe: name of the recipe.
        repetition: number of the repetition.
        images: images that passed each part; with two views the encoder encodes twice as many.
        bare: seconds of the bare encoder's forward and backward pass.
        step: seconds of whole training steps.
        loader: seconds of fetching batches alone.
    """

    recipe: str
    repetition: int
    images: int
    bare: float
    step: float
    loader: float

    @property
    def overhead(self) -> float:
        """Cost of a step beyond the bare encoder, as a share of the latter."""
        return self.step / self.bare - 1


@dataclass
class Results:
    """Results of one run.

    Attributes:
        machine: machine of the measurement.
        options: options of the measurement.
    """

    machine: dict[str, object]
    options: dict[str, object]
    timings: list[Timing] = field(default_factory=list)

    def recipes(self) -> list[str]:
        """List the recipes in the order of their measurement."""
        return list(dict.fromkeys(one.recipe for one in self.timings))

    def of(self, recipe: str) -> list[Timing]:
        """Return the repetitions of a recipe."""
        return [one for one in self.timings if one.recipe == recipe]

    def write(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(asdict(self), indent=1) + "\n")


def markdown(results: Results) -> str:
    """Write one line for each recipe: medians, with the least and the greatest."""
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
    """Write a median with the least and the greatest value."""
    return f"{median(values):{form}} ({min(values):{form}} to {max(values):{form}})"
