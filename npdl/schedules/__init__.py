"""Learning rates that change from step to step: `optimizers.Adam(learning_rate=schedules.CosineDecay(0.01, 1000))`."""

from npdl.schedules.base import LearningRateSchedule
from npdl.schedules.registry import get, serialize

__all__ = ["LearningRateSchedule", "get", "serialize"]
