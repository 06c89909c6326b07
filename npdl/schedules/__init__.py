"""Learning rates that change from step to step: `optimizers.Adam(learning_rate=schedules.CosineDecay(0.01, 1000))`."""

from npdl.schedules.base import LearningRateSchedule
from npdl.schedules.cycles import ChainedSchedule, Cyclic, LinearWarmup, Noam, OneCycle, SequentialSchedule
from npdl.schedules.decay import (
    CosineDecay,
    CosineDecayRestarts,
    ExponentialDecay,
    InverseTimeDecay,
    MultiStepDecay,
    PiecewiseConstantDecay,
    PolynomialDecay,
    StepDecay,
)
from npdl.schedules.registry import get, serialize

__all__ = [
    "ChainedSchedule", "CosineDecay", "CosineDecayRestarts", "Cyclic", "ExponentialDecay", "InverseTimeDecay",
    "LearningRateSchedule", "LinearWarmup", "MultiStepDecay", "Noam", "OneCycle", "PiecewiseConstantDecay",
    "PolynomialDecay", "SequentialSchedule", "StepDecay", "get", "serialize",
]  # fmt: skip
