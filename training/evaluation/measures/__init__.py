"""Measures of a frozen encoder beside probes, by name; adding one is a file here and a line below.

Each takes a `MeasureInputs` and gives figures; all that it fits, it fits and chooses on training images.
"""

from collections.abc import Callable

from training.evaluation.measures import coordinates, decoder, mine, ndm, occlusion, spread
from training.evaluation.measures.figure import Figure
from training.evaluation.measures.fitting import Stopped
from training.evaluation.measures.inputs import MeasureInputs, draw_inputs

# In the order in which they are made: what needs no fit or little comes first.
MEASURES: dict[str, Callable[[MeasureInputs], list[Figure]]] = {
    "spread": spread.measure,
    "ndm": ndm.measure,
    "mine": mine.measure,
    "decoder": decoder.measure,
    "occlusion": occlusion.measure,
    "coordinates": coordinates.measure,
}

__all__ = ["MEASURES", "Figure", "MeasureInputs", "Stopped", "draw_inputs"]
