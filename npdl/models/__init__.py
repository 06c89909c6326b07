"""Models: a stack or a graph of layers, and what it does with data."""

from npdl.models.functional import Model
from npdl.models.learning_rate import LearningRateCurve, find_learning_rate
from npdl.models.saving import clone_model, load_model, register
from npdl.models.sequential import Sequential

__all__ = [
    "LearningRateCurve", "Model", "Sequential", "clone_model", "find_learning_rate", "load_model", "register",
]  # fmt: skip
