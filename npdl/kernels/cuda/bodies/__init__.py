"""The kernels of the updates: kernel(pieces, scalars, arrays ...), or what makes one, by what there is to do."""

from npdl.kernels.cuda.bodies.adaptive import adadelta, adagrad, rmsprop
from npdl.kernels.cuda.bodies.flat import clip, combine
from npdl.kernels.cuda.bodies.gradient import lion, muon, rprop, sgd
from npdl.kernels.cuda.bodies.moments import adam, adamax, nadam

__all__ = [
    "adadelta", "adagrad", "adam", "adamax", "clip", "combine", "lion", "muon", "nadam", "rmsprop", "rprop", "sgd",
]  # fmt: skip
