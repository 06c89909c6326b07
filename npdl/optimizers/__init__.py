"""Optimizers: PyTorch's formulas, Keras' names and defaults."""

from npdl.optimizers.adam import Adam
from npdl.optimizers.adamw import AdamW
from npdl.optimizers.base import Optimizer
from npdl.optimizers.registry import get, serialize
from npdl.optimizers.rmsprop import RMSprop
from npdl.optimizers.sgd import SGD

__all__ = ["SGD", "Adam", "AdamW", "Optimizer", "RMSprop", "get", "serialize"]
