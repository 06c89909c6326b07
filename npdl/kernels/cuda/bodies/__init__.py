"""The kernels of the updates: kernel(pieces, scalars, arrays ...), or what makes one, by what there is to do."""

from npdl.kernels.cuda.bodies.adafactor import (
    column_means,
    factored_sizes,
    factored_squares,
    factored_update,
    mean_factors,
    row_means,
)
from npdl.kernels.cuda.bodies.adaptive import adadelta, adagrad, ftrl, rmsprop
from npdl.kernels.cuda.bodies.flat import clip, combine
from npdl.kernels.cuda.bodies.gradient import lion, muon, rprop, sgd
from npdl.kernels.cuda.bodies.lamb import lamb_moments, lamb_update, trust_ratios
from npdl.kernels.cuda.bodies.moments import adam, adamax, nadam, schedule_free

__all__ = [
    "adadelta", "adagrad", "adam", "adamax", "clip", "column_means", "combine", "factored_sizes", "factored_squares",
    "factored_update", "ftrl", "lamb_moments", "lamb_update", "lion", "mean_factors", "muon", "nadam", "rmsprop",
    "row_means", "rprop", "schedule_free", "sgd", "trust_ratios",
]  # fmt: skip
