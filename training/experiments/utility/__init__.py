"""Is pretraining worth it? Accuracy against number of labels, with it and without (Newell and Deng 2020)."""

from training.experiments.utility.cells import Cell
from training.experiments.utility.classifier import Schedule, schedule_for
from training.experiments.utility.curve import FILE, Subject, UtilityCurve, load, save
from training.experiments.utility.measurement import Outcome, measure
from training.experiments.utility.plot import FILE as PICTURE
from training.experiments.utility.plot import draw
from training.experiments.utility.points import Point, Spread, Worth
from training.experiments.utility.report import sentence, show
from training.experiments.utility.subsets import check_label_counts, default_label_counts

__all__ = [
    "FILE",
    "PICTURE",
    "Cell",
    "Outcome",
    "Point",
    "Schedule",
    "Spread",
    "Subject",
    "UtilityCurve",
    "Worth",
    "check_label_counts",
    "default_label_counts",
    "draw",
    "load",
    "measure",
    "save",
    "schedule_for",
    "sentence",
    "show",
]
