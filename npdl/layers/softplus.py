"""Softplus: a smooth rectifier."""

from npdl import activations
from npdl.layers.activation import Activation


class Softplus(Activation):
    """y = ln(1 + e^(β x)) / β, and x itself where β x > threshold: `npdl.activations.Softplus`.

    Args:
        beta: β, above 0.
        threshold: a number; None is none: the formula neither overflows nor loses digits. PyTorch's is 20.

    Raises:
        ValueError: beta not above 0, a threshold that is no number.

    >>> Softplus(beta=2.0).init(input_shape=(4,)).output_shape
    (4,)
    """

    def __init__(self, beta=1.0, threshold=None, **base):
        super().__init__(activations.Softplus(beta, threshold), **base)
        self.beta, self.threshold = beta, threshold
