"""Models: a stack of layers, and what it does with data."""

from npdl.models.learning_rate import LearningRateCurve, find_learning_rate
from npdl.models.saving import register
from npdl.models.sequential import Sequential, clone_model, load_model

__all__ = ["LearningRateCurve", "Sequential", "clone_model", "find_learning_rate", "load_model", "register"]
