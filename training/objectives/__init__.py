"""The terms of the Deep InfoMax loss: local, global, and between views."""

from training.objectives.global_ import Global
from training.objectives.local import Local
from training.objectives.measured import Measured
from training.objectives.pairwise import Pairwise

__all__ = ["Global", "Local", "Measured", "Pairwise"]
