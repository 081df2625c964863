"""Signs of an encoder's quality that need no labels."""

from training.evaluation.label_free.alpha_req import spectrum_exponent
from training.evaluation.label_free.lidar import lidar
from training.evaluation.label_free.measuring import LabelFree, label_free, views_drawn
from training.evaluation.label_free.rank_me import rank_me
from training.evaluation.label_free.spearman import spearman

__all__ = ["LabelFree", "label_free", "lidar", "rank_me", "spearman", "spectrum_exponent", "views_drawn"]
