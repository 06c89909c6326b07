"""Models: a stack or a graph of layers, and what it does with data."""

from npdl.models.functional import Model
from npdl.models.saving import clone_model, load_model, register
from npdl.models.sequential import Sequential

__all__ = ["Model", "Sequential", "clone_model", "load_model", "register"]
