"""Models: a stack of layers, and what it does with data."""

from npdl.models.saving import register
from npdl.models.sequential import Sequential, clone_model, load_model

__all__ = ["Sequential", "clone_model", "load_model", "register"]
