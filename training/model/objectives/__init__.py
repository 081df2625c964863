"""The terms of the Deep InfoMax loss: local, global, between views, and the match with a prior."""

from training.model.objectives.global_ import Global
from training.model.objectives.local import Local
from training.model.objectives.pairwise import Pairwise
from training.model.objectives.prior import PriorMatching
from training.model.objectives.value import ObjectiveValue

__all__ = ["Global", "Local", "ObjectiveValue", "Pairwise", "PriorMatching"]
