"""Activation functions: one object each, with its formula and its derivative.

A layer's `activation=` takes a name or one of these objects and hands it down to the kernels, which compute it in the
same pass as the layer's own work. Your own activation is a subclass with `__call__` and `derivative`; it runs in NumPy.

    y = a(z)        dz = dy · a'(z)

References: the definitions are Keras 3's, names and defaults too.
"""

from npdl.activations.base import Activation, Linear, linear
from npdl.activations.gated import GELU, HardSiLU, Mish, SiLU, gelu, hard_silu, hard_swish, mish, silu, swish
from npdl.activations.rectifiers import (
    CELU,
    ELU,
    SELU,
    LeakyReLU,
    ReLU,
    ReLU6,
    celu,
    elu,
    leaky_relu,
    relu,
    relu6,
    selu,
)
from npdl.activations.registry import get, serialize
from npdl.activations.rows import GLU, LogSoftmax, Softmax, Sparsemax, glu, log_softmax, softmax, sparsemax
from npdl.activations.shrinking import (
    HardShrink,
    SoftShrink,
    TanhShrink,
    Threshold,
    hard_shrink,
    soft_shrink,
    tanh_shrink,
)
from npdl.activations.sigmoids import (
    HardSigmoid,
    HardTanh,
    LogSigmoid,
    Sigmoid,
    Softsign,
    SparseSigmoid,
    Tanh,
    hard_sigmoid,
    hard_tanh,
    log_sigmoid,
    sigmoid,
    softsign,
    sparse_sigmoid,
    tanh,
)
from npdl.activations.smooth import (
    Exponential,
    Softplus,
    SparsePlus,
    Squareplus,
    exponential,
    softplus,
    sparse_plus,
    squareplus,
)

__all__ = [
    "CELU", "ELU", "GELU", "GLU", "SELU", "Activation", "Exponential", "HardShrink", "HardSiLU", "HardSigmoid",
    "HardTanh", "LeakyReLU", "Linear", "LogSigmoid", "LogSoftmax", "Mish", "ReLU", "ReLU6", "SiLU", "Sigmoid",
    "SoftShrink", "Softmax", "Softplus", "Softsign", "SparsePlus", "SparseSigmoid", "Sparsemax", "Squareplus", "Tanh",
    "TanhShrink", "Threshold", "celu", "elu", "exponential", "gelu", "get", "glu", "hard_shrink", "hard_sigmoid",
    "hard_silu", "hard_swish", "hard_tanh", "leaky_relu", "linear", "log_sigmoid", "log_softmax", "mish", "relu",
    "relu6", "selu", "serialize", "sigmoid", "silu", "soft_shrink", "softmax", "softplus", "softsign", "sparse_plus",
    "sparse_sigmoid", "sparsemax", "squareplus", "swish", "tanh", "tanh_shrink",
]  # fmt: skip
