"""Is pretraining worth it? Accuracy against number of labels, with it and without (Newell and Deng 2020)."""

from training.experiments.utility.cells import UtilityCell
from training.experiments.utility.classifier import ClassifierSchedule, schedule_for
from training.experiments.utility.curve import FILE, CurveSubject, UtilityCurve, load, save
from training.experiments.utility.measurement import UtilityResult, measure
from training.experiments.utility.plot import FILE as PICTURE
from training.experiments.utility.plot import draw
from training.experiments.utility.points import MeanAndDeviation, Point, Worth
from training.experiments.utility.report import sentence, show
from training.experiments.utility.subsets import check_label_counts, default_label_counts

__all__ = [
    "FILE",
    "PICTURE",
    "ClassifierSchedule",
    "CurveSubject",
    "MeanAndDeviation",
    "Point",
    "UtilityCell",
    "UtilityCurve",
    "UtilityResult",
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
