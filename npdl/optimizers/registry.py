"""Optimizers by name."""

from npdl import names
from npdl.optimizers.adadelta import Adadelta
from npdl.optimizers.adafactor import Adafactor
from npdl.optimizers.adagrad import Adagrad
from npdl.optimizers.adam import Adam
from npdl.optimizers.adamax import Adamax
from npdl.optimizers.adamw import AdamW
from npdl.optimizers.asgd import ASGD
from npdl.optimizers.base import Optimizer
from npdl.optimizers.ftrl import Ftrl
from npdl.optimizers.lamb import Lamb
from npdl.optimizers.lbfgs import LBFGS
from npdl.optimizers.lion import Lion
from npdl.optimizers.lookahead import Lookahead
from npdl.optimizers.muon import Muon
from npdl.optimizers.nadam import Nadam
from npdl.optimizers.radam import RAdam
from npdl.optimizers.rmsprop import RMSprop
from npdl.optimizers.rprop import Rprop
from npdl.optimizers.schedule_free import ScheduleFreeAdamW
from npdl.optimizers.sgd import SGD
from npdl.optimizers.swa import SWA

_classes: dict[str, type[Optimizer]] = {
    cls.__name__.lower(): cls
    for cls in (
        SGD, Adam, AdamW, RMSprop, Adadelta, Adafactor, Adagrad, Adamax, Ftrl, Lamb, Lion, Muon, Nadam, RAdam, Rprop,
        ScheduleFreeAdamW, ASGD, LBFGS, Lookahead, SWA,
    )
}  # fmt: skip


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
