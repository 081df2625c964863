"""Is pretraining worth it? Accuracy against number of labels, with it and without (Newell and Deng 2020)."""

from training.utility.cells import Cell
from training.utility.classifier import Schedule, schedule_for
from training.utility.curve import FILE, Subject, UtilityCurve, load, save
from training.utility.measurement import Outcome, measure
from training.utility.plot import FILE as PICTURE
from training.utility.plot import draw
from training.utility.points import Point, Spread, Worth
from training.utility.report import sentence, show
from training.utility.subsets import check_label_counts, default_label_counts

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
