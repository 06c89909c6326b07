"""npdl: a deep-learning engine on NumPy in which every layer writes out its own forward and backward."""

import importlib as _importlib

from npdl import (
    activations,
    callbacks,
    constraints,
    data,
    devices,
    initializers,
    layers,
    losses,
    metrics,
    models,
    optimizers,
    random,
    regularizers,
    schedules,
    testing,
    utils,
    viz,
)
from npdl.devices import get_num_threads, set_debug, set_num_threads, show_config
from npdl.models import Model, Sequential, clone_model, load_model, register
from npdl.random import set_seed

__version__ = "0.1.0"

__all__ = [
    "Model", "Sequential", "activations", "callbacks", "clone_model", "constraints", "cuda", "data", "datasets",
    "devices", "get_num_threads", "initializers", "interop", "layers", "load_model", "losses", "metrics", "models",
    "optimizers", "random", "register", "regularizers", "schedules", "set_debug", "set_num_threads", "set_seed",
    "show_config", "testing", "utils", "viz",
]  # fmt: skip

_LATE = ("cuda", "datasets", "interop")
"""Imported when they are first asked for: what reads archives takes a tenth of the time of all."""


def __getattr__(name):
    if name in _LATE:
        return _importlib.import_module(f"npdl.{name}")
    raise AttributeError(f"module 'npdl' has no attribute {name!r}")


def __dir__():
    return sorted({*globals(), *__all__})
