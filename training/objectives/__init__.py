"""The terms of the Deep InfoMax loss: local, global, between views, and the match with a prior."""

from training.objectives.global_ import Global
from training.objectives.local import Local
from training.objectives.measured import Measured
from training.objectives.pairwise import Pairwise
from training.objectives.prior import PriorMatching

__all__ = ["Global", "Local", "Measured", "Pairwise", "PriorMatching"]
