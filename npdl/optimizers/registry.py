"""Optimizers by name."""

from npdl import names
from npdl.optimizers.adam import Adam
from npdl.optimizers.adamw import AdamW
from npdl.optimizers.base import Optimizer
from npdl.optimizers.rmsprop import RMSprop
from npdl.optimizers.sgd import SGD

_classes = {cls.__name__.lower(): cls for cls in (SGD, Adam, AdamW, RMSprop)}


def _find(name):
    return names.find("optimizer", name, _classes)


def get(identifier):
    """The optimizer for a name (in any case, with its defaults), an object or its `{"class_name", "config"}`.

    Raises:
        ValueError: an unknown name; the nearest one is suggested.
        TypeError: something else.

    >>> get("adam")
    Adam(learning_rate=0.001)
    """
    if isinstance(identifier, Optimizer):
        return identifier
    if isinstance(identifier, str):
        return _find(identifier)()
    if isinstance(identifier, dict) and isinstance(identifier.get("class_name"), str):
        return _find(identifier["class_name"]).from_config(identifier.get("config") or {})
    raise TypeError(
        f"optimizer must be a name or an npdl.optimizers object, got {identifier!r}; "
        'pass e.g. optimizer="adam", or npdl.optimizers.Adam(0.001)'
    )


def serialize(optimizer):
    """Class and arguments, which `get` reads back; the state is apart (`get_state`)."""
    return {"class_name": type(optimizer).__name__, "config": optimizer.get_config()}
