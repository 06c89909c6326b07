"""Optimizers: PyTorch's formulas, Keras' names and defaults."""

from npdl import schedules
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
from npdl.optimizers.loss_scale import LossScale
from npdl.optimizers.muon import Muon
from npdl.optimizers.nadam import Nadam
from npdl.optimizers.radam import RAdam
from npdl.optimizers.registry import get, serialize
from npdl.optimizers.rmsprop import RMSprop
from npdl.optimizers.rprop import Rprop
from npdl.optimizers.schedule_free import ScheduleFreeAdamW
from npdl.optimizers.sgd import SGD
from npdl.optimizers.swa import SWA

__all__ = [
    "ASGD", "LBFGS", "SGD", "SWA", "Adadelta", "Adafactor", "Adagrad", "Adam", "AdamW", "Adamax", "Ftrl", "Lamb",
    "Lion", "Lookahead", "LossScale", "Muon", "Nadam", "Optimizer", "RAdam", "RMSprop", "Rprop", "ScheduleFreeAdamW",
    "get", "schedules", "serialize",
]  # fmt: skip
